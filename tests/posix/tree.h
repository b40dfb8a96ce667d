/* A tree that must be the same after a remount: built by "prepare", checked by "verify". */
#ifndef TESTS_POSIX_TREE_H
#define TESTS_POSIX_TREE_H

/* verb: "prepare" or "verify". Speaks TAP; returns the exit status of the program. */
int tree_main(const char *verb, const char *dir);

#endif
