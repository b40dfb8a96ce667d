/*
 * make_segment.c: "make_segment N" writes a segment of N sections with one record each to standard
 * output, for test-dump.sh. A saved one that is larger than a reader's first read would be too
 * large to keep.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include "replication/segment.h"
#include "util/parse_number.h"

/* As those of tests/fuzz/corpus/segment. */
static const struct position position = {.node = {{1, 2, 3}}, .incarnation = 2, .sequence = 7};

static int add_section(struct section_builder *builder, struct segment *segment, uint32_t account)
{
	struct section section;

	if (section_builder_put(builder, SECTION_META, "S\0\0\0\0\0\0\0\2", 9, "../u1", 5) < 0 ||
		section_builder_finish(builder, &section) < 0)
		return -1;
	return directory_add(&segment->directory, account, 0, NULL, &section);
}

int main(int argc, char **argv)
{
	struct segment segment = {.type = SEGMENT_CHANGES, .position = position};
	struct section_builder *builder = section_builder_new();
	struct frame frame;
	uint64_t n;

	if (argc != 2 || parse_number_u64(argv[1], DIRECTORY_MAX_ENTRIES, &n) < 0 ||
		builder == NULL)
		return EXIT_FAILURE;
	for (uint32_t i = 0; i < n; i++) {
		if (add_section(builder, &segment, i) < 0)
			return EXIT_FAILURE;
	}
	if (segment_encode(&segment, &frame) < 0)
		return EXIT_FAILURE;
	for (int i = 0; i < frame.n_parts; i++)
		(void)fwrite(frame.parts[i].iov_base, 1, frame.parts[i].iov_len, stdout);
	for (uint32_t i = 0; i < segment.directory.n_entries; i++)
		free((void *)(uintptr_t)segment.directory.entries[i].stored);
	frame_done(&frame);
	segment_done(&segment);
	section_builder_free(builder);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
