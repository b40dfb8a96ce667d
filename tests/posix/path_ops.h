/* Every operation that takes a path, in one form, so that path errors can be asked of all of them.
 */
#ifndef TESTS_POSIX_PATH_OPS_H
#define TESTS_POSIX_PATH_OPS_H

#include <stdbool.h>
#include <stddef.h>

struct path_op {
	const char *name;
	int (*call)(const char *path); /* as the system call: -1 and errno, or >= 0 */
	bool makes;                    /* it creates the last component */
	bool follows;                  /* it follows a symlink in the last component */
	bool any_type; /* it makes sense on a regular file: an existing one is no error */
};

extern const struct path_op path_ops[];
extern const size_t path_op_count;

#endif
