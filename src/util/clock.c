#include <config.h>
#include "util/clock.h"

#include <time.h>

static int64_t read_clock_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

uint64_t clock_monotonic_ms(void)
{
	return (uint64_t)read_clock_ns(CLOCK_MONOTONIC) / 1000000;
}

uint64_t clock_monotonic_ns(void)
{
	return (uint64_t)read_clock_ns(CLOCK_MONOTONIC);
}

int64_t clock_realtime_ns(void)
{
	return read_clock_ns(CLOCK_REALTIME);
}

int64_t clock_realtime_ms(void)
{
	return read_clock_ns(CLOCK_REALTIME) / 1000000;
}

void clock_sleep_ms(uint32_t ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)nanosleep(&pause, NULL);
}
