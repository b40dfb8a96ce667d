#include <config.h>
#include "journal_seal.h"

#include <check.h>
#include "replication/segment.h"

void journal_seal_put(
	struct backend *backend, const struct position *position, const struct uuid *taker)
{
	struct segment seal = {
		.type = SEGMENT_SEAL, .position = *position, .created_ms = 1, .taker = *taker};
	struct backend_result result;
	char key[POSITION_SEGMENT_KEY_BYTES];
	struct frame frame;

	ck_assert_int_eq(segment_encode(&seal, &frame), 0);
	position_segment_key(position, 0, key);
	ck_assert_int_eq(
		backend_put_wait(backend, key, frame.parts, frame.n_parts, NULL, &result), 0);
	backend_result_done(&result);
	frame_done(&frame);
}
