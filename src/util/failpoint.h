/*
 * failpoint.h: named steps at which a test can kill the process, to see what a crash there leaves.
 *
 * Without failpoint_set() a failpoint costs one load. Names are `module.step`; every one of them is
 * in a test (tests/lint/check-failpoints.sh).
 */
#ifndef MAILFS_UTIL_FAILPOINT_H
#define MAILFS_UTIL_FAILPOINT_H

/* `rule` is NAME or NAME:N; the process gets SIGKILL when it comes to that failpoint for the Nth
 * time (1). -EINVAL. Once, before threads start. */
int failpoint_set(const char *rule);

void failpoint(const char *name);

#endif
