/*
 * fuzz_s3_xml.c: documents of an S3 store. Whatever comes, entries of a list are valid keys, and
 * texts end where they should.
 */
#include <config.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "backends/s3/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void fuzz_list(const char *text, size_t size, const char *prefix)
{
	struct backend_result result = {.error = 0};
	char *token = NULL;
	int r = s3_xml_read_list(text, size, prefix, &result, &token);

	check(r == 0 || token == NULL);
	for (size_t i = 0; i < result.n_entries; i++)
		check(backend_key_is_valid(result.entries[i].key));
	free(token);
	backend_result_done(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct s3_xml_error error = {.code = ""};
	struct s3_xml_deletion deletion;
	char id[64], etag[BACKEND_VERSION_MAX_BYTES];

	fuzz_list(text, size, "");
	fuzz_list(text, size, "p/");
	if (s3_xml_read_error(text, size, &error) == 0)
		check(memchr(error.code, '\0', sizeof(error.code)) != NULL &&
			memchr(error.message, '\0', sizeof(error.message)) != NULL);
	if (s3_xml_read_deletion(text, size, &deletion) == 0)
		check(memchr(deletion.code, '\0', sizeof(deletion.code)) != NULL);
	if (s3_xml_read_upload_id(text, size, id, sizeof(id)) == 0)
		check(id[0] != '\0' && memchr(id, '\0', sizeof(id)) != NULL);
	if (s3_xml_read_completion(text, size, etag, &error) == 0)
		check(memchr(etag, '\0', sizeof(etag)) != NULL);
	return 0;
}
