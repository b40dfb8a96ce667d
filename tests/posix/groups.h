/* The groups of cases, one source file each (t_*.c). */
#ifndef TESTS_POSIX_GROUPS_H
#define TESTS_POSIX_GROUPS_H

#include "harness.h"

extern const struct test_group group_path;
extern const struct test_group group_open;
extern const struct test_group group_link;
extern const struct test_group group_rename;
extern const struct test_group group_dir;
extern const struct test_group group_node;
extern const struct test_group group_name;
extern const struct test_group group_owner;
extern const struct test_group group_matrix;
extern const struct test_group group_time;
extern const struct test_group group_truncate;
extern const struct test_group group_orphan;
extern const struct test_group group_data;
extern const struct test_group group_space;
extern const struct test_group group_mmap;
extern const struct test_group group_lock;
extern const struct test_group group_xattr;
extern const struct test_group group_readdir;
extern const struct test_group group_scan;
extern const struct test_group group_fsx;
extern const struct test_group group_race;
extern const struct test_group group_concurrent;
extern const struct test_group group_copy;
extern const struct test_group group_class;

#endif
