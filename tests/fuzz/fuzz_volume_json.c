/*
 * fuzz_volume_json.c: what is decoded can be encoded and decoded again; what is not has a message.
 */
#include <config.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "volume/volume_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct volume volume, again;
	char *message = NULL, *text;

	if (volume_json_decode(data, size, &volume, &message) < 0) {
		if (message == NULL)
			abort();
		free(message);
		return 0;
	}
	text = volume_json_encode(&volume);
	if (text == NULL || volume_json_decode(text, strlen(text), &again, &message) < 0 ||
		strcmp(volume.uuid, again.uuid) != 0 ||
		volume.account_depth != again.account_depth ||
		volume.created_ms != again.created_ms)
		abort();
	free(text);
	return 0;
}
