#include <config.h>
#include "backends/nfs/nfs_status.h"

#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs-raw-nfs.h>
#include <stddef.h>
#include <string.h>

struct row {
	int status, error;
};

static const struct row nfs_table[] = {
	{NFS3_OK, 0}, {NFS3ERR_PERM, -EACCES}, {NFS3ERR_NOENT, -ENOENT}, {NFS3ERR_IO, -EIO},
	{NFS3ERR_NXIO, -EIO}, {NFS3ERR_ACCES, -EACCES}, {NFS3ERR_EXIST, -EEXIST},
	{NFS3ERR_XDEV, -EXDEV}, /* another file system is mounted within the export */
	{NFS3ERR_NODEV, -EIO}, {NFS3ERR_NOTDIR, -ENOTDIR}, {NFS3ERR_ISDIR, -EISDIR},
	{NFS3ERR_INVAL, -EINVAL}, {NFS3ERR_FBIG, -EFBIG}, {NFS3ERR_NOSPC, -ENOSPC},
	{NFS3ERR_ROFS, -EROFS}, {NFS3ERR_MLINK, -EMLINK}, {NFS3ERR_NAMETOOLONG, -ENAMETOOLONG},
	{NFS3ERR_NOTEMPTY, -ENOTEMPTY}, {NFS3ERR_DQUOT, -ENOSPC},
	{NFS3ERR_STALE, -NFS_STALE_HANDLE}, {NFS3ERR_REMOTE, -EIO},
	{NFS3ERR_BADHANDLE, -NFS_STALE_HANDLE}, /* of a server that was set up anew */
	{NFS3ERR_NOT_SYNC, -EIO}, {NFS3ERR_BAD_COOKIE, -NFS_BAD_COOKIE},
	{NFS3ERR_NOTSUPP, -EOPNOTSUPP}, {NFS3ERR_TOOSMALL, -EIO}, {NFS3ERR_SERVERFAULT, -EIO},
	{NFS3ERR_BADTYPE, -EIO}, {NFS3ERR_JUKEBOX, -EBUSY},
	{10013, -EBUSY}, /* NFS4ERR_GRACE, which some servers give to version 3 too */
};

static const struct row mount_table[] = {
	{MNT3_OK, 0},
	{MNT3ERR_PERM, -EACCES},
	{MNT3ERR_NOENT, -ENOENT},
	{MNT3ERR_IO, -EIO},
	{MNT3ERR_ACCES, -EACCES},
	{MNT3ERR_NOTDIR, -ENOTDIR},
	{MNT3ERR_INVAL, -EINVAL},
	{MNT3ERR_NAMETOOLONG, -ENAMETOOLONG},
	{MNT3ERR_NOTSUPP, -EOPNOTSUPP},
	{MNT3ERR_SERVERFAULT, -EIO},
};

/* Texts of libnfs 4.0 for an answer that is no result. */
static const struct {
	const char *text;
	int error;
} rpc_table[] = {
	{"RPC Packet not accepted by the server", -EACCES}, /* AUTH_SYS is refused */
	{"Server responded: Program not available", -EPROTONOSUPPORT},
	{"Server responded: Program version mismatch", -EPROTONOSUPPORT},
	{"Server responded: Procedure not available", -EOPNOTSUPP},
	{"Server responded: Garbage arguments", -EPROTO},
	{"Server responded: System Error", -EIO},
	{"Message rejected by server", -EPROTO}, /* also: an answer that could not be decoded */
	{"Unknown rpc response from server", -EPROTO},
};

static int find(const struct row *table, size_t n, int status)
{
	for (size_t i = 0; i < n; i++) {
		if (table[i].status == status)
			return table[i].error;
	}
	return -EIO;
}

int nfs_status_error(int status)
{
	return find(nfs_table, sizeof(nfs_table) / sizeof(nfs_table[0]), status);
}

int nfs_status_mount_error(int status)
{
	return find(mount_table, sizeof(mount_table) / sizeof(mount_table[0]), status);
}

int nfs_status_rpc_error(const char *text)
{
	for (size_t i = 0; text != NULL && i < sizeof(rpc_table) / sizeof(rpc_table[0]); i++) {
		if (strncmp(text, rpc_table[i].text, strlen(rpc_table[i].text)) == 0)
			return rpc_table[i].error;
	}
	return 0;
}

int nfs_status_outward(int error)
{
	switch (-error) {
	case NFS_STALE_HANDLE:
	case NFS_BAD_COOKIE:
		return -EIO;
	default:
		return error;
	}
}
