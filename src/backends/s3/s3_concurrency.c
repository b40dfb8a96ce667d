#include <config.h>
#include "backends/s3/s3_concurrency.h"

void s3_concurrency_init(struct s3_concurrency *c, unsigned int max)
{
	*c = (struct s3_concurrency){.limit = max, .max = max};
}

bool s3_concurrency_note(struct s3_concurrency *c, bool is_slow_down, uint64_t now_ms)
{
	if (is_slow_down) {
		if (c->limit == 1 || (c->decreased_at_ms != 0 &&
					     now_ms < c->decreased_at_ms + S3_CONCURRENCY_PAUSE_MS))
			return false;
		c->limit /= 2;
		c->successes = 0;
		c->decreased_at_ms = now_ms;
		return true;
	}
	if (c->limit == c->max || ++c->successes < c->limit)
		return false;
	c->limit++;
	c->successes = 0;
	return true;
}
