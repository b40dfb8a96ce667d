#include <config.h>
#include "volume/volume.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/message.h"
#include "util/uuid.h"
#include "volume/volume_json.h"

#define VOLUME_KEY "volume.json"

int volume_check_absent(struct backend *b, char **ret_message)
{
	struct backend_result result;
	int r = backend_head_wait(b, VOLUME_KEY, &result);

	backend_result_done(&result);
	if (r == 0)
		return message_set(ret_message, -EEXIST, "there is a volume already");
	if (r == -ENOENT)
		r = backend_list_wait(b, "", NULL, 1, &result);
	if (r < 0)
		return message_set(ret_message, r, "cannot look at the place: %s", strerror(-r));
	if (result.n_entries > 0)
		r = message_set(ret_message, -ENOTEMPTY,
			"the place is not empty and holds no volume (there is \"%s\"): choose an "
			"empty one",
			result.entries[0].key);
	backend_result_done(&result);
	return r;
}

static int make(uint32_t account_depth, struct volume *ret, char **ret_message)
{
	struct uuid uuid;

	if (account_depth > VOLUME_MAX_ACCOUNT_DEPTH)
		return message_set(ret_message, -EINVAL, "account depth %u: it must be 0, 1 or 2",
			(unsigned int)account_depth);
	if (uuid_generate(&uuid) < 0)
		return message_set(ret_message, -EIO, "the system gives no random numbers");
	*ret = (struct volume){.format_version = VOLUME_FORMAT_VERSION,
		.account_depth = account_depth,
		.created_ms = clock_realtime_ms() / 1000 * 1000};
	uuid_format(&uuid, ret->uuid);
	return 0;
}

static int write_volume(struct backend *b, const struct volume *volume, char **ret_message)
{
	static const struct backend_condition if_absent = {.type = BACKEND_IF_ABSENT};
	CLEANUP_FREE char *text = volume_json_encode(volume);
	struct iovec part = {text, text == NULL ? 0 : strlen(text)};
	struct backend_result result;
	int r;

	if (text == NULL)
		return message_set(ret_message, -ENOMEM, "out of memory");
	r = backend_put_wait(b, VOLUME_KEY, &part, 1, &if_absent, &result);
	backend_result_done(&result);
	if (r == -EOPNOTSUPP) { /* then two who format at once are on their own */
		r = backend_put_wait(b, VOLUME_KEY, &part, 1, NULL, &result);
		backend_result_done(&result);
	}
	if (r == -EEXIST)
		return message_set(
			ret_message, r, "somebody else formatted a volume here at the same time");
	if (r < 0)
		return message_set(ret_message, r, "cannot write " VOLUME_KEY ": %s", strerror(-r));
	return 0;
}

int volume_format(struct backend *b, uint32_t account_depth, struct volume *ret, char **ret_message)
{
	struct volume volume;
	int r = make(account_depth, &volume, ret_message);

	if (r < 0)
		return r;
	r = volume_check_absent(b, ret_message);
	if (r == 0)
		r = write_volume(b, &volume, ret_message);
	if (r == 0)
		*ret = volume;
	return r;
}

int volume_open(struct backend *b, struct volume *ret, char **ret_message)
{
	struct backend_result result;
	int r = backend_get_wait(b, VOLUME_KEY, 0, VOLUME_JSON_MAX_BYTES + 1, &result);

	if (r == -ENOENT)
		return message_set(ret_message, r,
			"there is no volume here: make one with mailfs-admin format, or check the "
			"URL and that what it is on is mounted");
	if (r < 0)
		return message_set(ret_message, r, "cannot read " VOLUME_KEY ": %s", strerror(-r));
	r = volume_json_decode(result.data, result.data_size_bytes, ret, ret_message);
	backend_result_done(&result);
	return r;
}
