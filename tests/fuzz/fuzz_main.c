/*
 * fuzz_main.c: runs a fuzz target over saved inputs, as an ordinary test.
 *
 * FUZZ_CORPUS is the target's folder below the directory that top_srcdir names; every file in it
 * and each shorter and each slightly changed form of it is an input. Speaks TAP.
 */
#include <config.h>

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/file_io.h"

#define MAX_INPUT_BYTES (1 << 20)
#define MAX_CHANGED_BYTES 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In a block of its own size, so that the sanitizers see the first byte behind it. */
static void run_one(const void *data, size_t size)
{
	uint8_t *copy = malloc(size == 0 ? 1 : size);

	if (copy == NULL)
		abort();
	if (size > 0)
		memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void run_with_changes(char *data, size_t size)
{
	run_one(data, size);
	for (size_t i = 0; i < size && i < MAX_CHANGED_BYTES; i++) {
		char good = data[i];

		run_one(data, i);
		data[i] = (char)(good ^ 1);
		run_one(data, size);
		data[i] = (char)0xff;
		run_one(data, size);
		data[i] = good;
	}
}

int main(void)
{
	const char *top = getenv("top_srcdir");
	char directory[4096], path[8192];
	struct dirent *entry;
	DIR *stream;
	int n = 0;

	snprintf(directory, sizeof(directory), "%s/%s", top == NULL ? "." : top, FUZZ_CORPUS);
	stream = opendir(directory);
	if (stream == NULL) {
		printf("Bail out! cannot open %s\n", directory);
		return EXIT_FAILURE;
	}
	while ((entry = readdir(stream)) != NULL) {
		char *data = NULL;
		size_t size = 0;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (file_io_read_file(path, MAX_INPUT_BYTES, &data, &size) < 0) {
			printf("Bail out! cannot read %s\n", path);
			return EXIT_FAILURE;
		}
		run_with_changes(data, size);
		free(data);
		printf("ok %d - %s\n", ++n, entry->d_name);
	}
	closedir(stream);
	printf("1..%d\n", n);
	return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
