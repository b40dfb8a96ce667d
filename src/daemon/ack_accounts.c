#include <config.h>
#include "daemon/ack_accounts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "config/ack_file.h"
#include "util/message.h"

int ack_accounts_load(struct fs *fs, const char *path, char **ret_message)
{
	struct ack_file file;
	struct fs_ack_override *overrides;
	int r = ack_file_load(path, &file, ret_message);

	if (r < 0)
		return r;
	overrides = calloc(file.n + 1, sizeof(*overrides));
	for (size_t i = 0; i < file.n && overrides != NULL; i++)
		overrides[i] = (struct fs_ack_override){
			.account = file.lines[i].account, .remote = file.lines[i].remote};
	r = overrides == NULL ? -ENOMEM : fs_set_acks(fs, overrides, file.n);
	free(overrides);
	ack_file_done(&file);
	return r < 0 ? message_set(ret_message, r, "'%s': %s", path, strerror(-r)) : 0;
}
