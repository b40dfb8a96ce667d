#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdlib.h>
#include "backends/nfs/nfs_status.h"
#include "backends/retry_backend.h"

/* The numbers are those of RFC 1813, not those of a header. */
START_TEST(test_nfs_errors)
{
	static const struct {
		int status, error;
	} rows[] = {
		{0, 0},
		{1, -EACCES},
		{2, -ENOENT},
		{5, -EIO},
		{13, -EACCES},
		{17, -EEXIST},
		{18, -EXDEV},
		{20, -ENOTDIR},
		{21, -EISDIR},
		{22, -EINVAL},
		{27, -EFBIG},
		{28, -ENOSPC},
		{30, -EROFS},
		{63, -ENAMETOOLONG},
		{66, -ENOTEMPTY},
		{69, -ENOSPC},
		{70, -NFS_STALE_HANDLE},
		{10001, -NFS_STALE_HANDLE},
		{10003, -NFS_BAD_COOKIE},
		{10004, -EOPNOTSUPP},
		{10006, -EIO},
		{10008, -EBUSY},
		{4711, -EIO},
		{-1, -EIO},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_int_eq(nfs_status_error(rows[i].status), rows[i].error);
}
END_TEST

START_TEST(test_mount_errors)
{
	ck_assert_int_eq(nfs_status_mount_error(0), 0);
	ck_assert_int_eq(nfs_status_mount_error(1), -EACCES);
	ck_assert_int_eq(nfs_status_mount_error(2), -ENOENT);
	ck_assert_int_eq(nfs_status_mount_error(13), -EACCES);
	ck_assert_int_eq(nfs_status_mount_error(20), -ENOTDIR);
	ck_assert_int_eq(nfs_status_mount_error(10006), -EIO);
	ck_assert_int_eq(nfs_status_mount_error(4711), -EIO);
}
END_TEST

START_TEST(test_rpc_errors)
{
	ck_assert_int_eq(nfs_status_rpc_error("RPC Packet not accepted by the server"), -EACCES);
	ck_assert_int_eq(
		nfs_status_rpc_error("Server responded: Program not available"), -EPROTONOSUPPORT);
	ck_assert_int_eq(nfs_status_rpc_error("Server responded: System Error"), -EIO);
	ck_assert_int_eq(nfs_status_rpc_error("something else"), 0);
	ck_assert_int_eq(nfs_status_rpc_error(NULL), 0);
}
END_TEST

/* In backend.h -ESTALE is a version that is not the one; a handle's must never be taken for it. */
START_TEST(test_stale_handles_are_no_stale_versions)
{
	for (int status = 0; status < 11000; status++) {
		int error = nfs_status_outward(nfs_status_error(status));

		ck_assert_int_ne(error, -ESTALE);
		ck_assert_int_ne(error, -NFS_STALE_HANDLE);
		ck_assert_int_ne(error, -NFS_BAD_COOKIE);
	}
	ck_assert_int_eq(nfs_status_outward(-NFS_STALE_HANDLE), -EIO);
	ck_assert_int_eq(nfs_status_outward(-ESTALE), -ESTALE);
	ck_assert_int_eq(nfs_status_outward(0), 0);
	ck_assert(retry_backend_is_passing(nfs_status_error(10008)));
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("nfs_status");
	TCase *tc = tcase_create("nfs_status");

	tcase_add_test(tc, test_nfs_errors);
	tcase_add_test(tc, test_mount_errors);
	tcase_add_test(tc, test_rpc_errors);
	tcase_add_test(tc, test_stale_handles_are_no_stale_versions);
	suite_add_tcase(suite, tc);
	return suite;
}
