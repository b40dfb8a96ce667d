#include <config.h>
#include "daemon/backend_options.h"

#include <errno.h>
#include "backends/registry.h"
#include "util/log.h"
#include "util/message.h"
#include "util/text_list.h"

int backend_options_check(struct mount_options *options, char **ret_message)
{
	char **list = options->backend_options;
	size_t i = 0;

	while (list != NULL && list[i] != NULL) {
		if (backend_url_has_option(options->url, list[i])) {
			i++;
			continue;
		}
		if (!options->sloppy)
			return message_set(ret_message, -EINVAL,
				"unknown mount option '%s'; 'mailfs -h' lists the options",
				list[i]);
		log_warning("unknown mount option '%s' ignored (sloppy)", list[i]);
		text_list_remove(list, i);
	}
	return 0;
}
