#include <config.h>
#include "backends/s3/s3_errors.h"

#include <curl/curl.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define SLOW .is_slow_down = true
#define EXPIRED .is_expired = true
#define REGION .is_region = true
#define HINT(text) .hint = (text)

static const char check_keys[] = "check the access key and the secret key";
static const char check_region[] = "set option region=NAME (and endpoint=URL) to the bucket's";
static const char check_policy[] = "the credentials lack the right to do this: check the bucket's "
				   "policy and the user's";

/* A row of a code comes before that of its status. */
static const struct row {
	const char *code; /* NULL: any */
	long status;      /* 0: any */
	struct s3_error is;
} rows[] = {
	{"AccessDenied", 0, {.error = -EACCES, HINT(check_policy)}},
	{"AllAccessDisabled", 0, {.error = -EACCES, HINT(check_policy)}},
	{"AccountProblem", 0, {.error = -EACCES, HINT("see the account's state at the provider")}},
	{"InvalidAccessKeyId", 0, {.error = -EACCES, HINT(check_keys)}},
	{"SignatureDoesNotMatch", 0, {.error = -EACCES, HINT(check_keys)}},
	{"InvalidObjectState", 0,
		{.error = -EACCES,
			HINT("the object is archived: mailfs needs a storage class that can be "
			     "read at once")}},
	{"RequestTimeTooSkewed", 0,
		{.error = -EACCES,
			HINT("the clocks of this machine and of the store differ too much: set "
			     "this machine's clock (NTP)")}},
	{"ExpiredToken", 0,
		{.error = -EACCES,
			EXPIRED,
			HINT("the temporary credentials have expired: renew them")}},
	{"TokenRefreshRequired", 0,
		{.error = -EACCES,
			EXPIRED,
			HINT("the temporary credentials have expired: renew them")}},
	{"InvalidToken", 0, {.error = -EACCES, EXPIRED, HINT("check the session token")}},
	{"QuotaExceeded", 0, {.error = -ENOSPC, HINT("raise the quota or remove objects")}},
	{"NoSuchBucket", 0, {.error = -ENXIO, HINT("create the bucket, or correct the URL")}},
	{"NoSuchKey", 0, {.error = -ENOENT}},
	{"NoSuchUpload", 0, {.error = -EIO}},
	{"PermanentRedirect", 0, {.error = -ENXIO, REGION, HINT(check_region)}},
	{"AuthorizationHeaderMalformed", 0, {.error = -ENXIO, REGION, HINT(check_region)}},
	{"IllegalLocationConstraintException", 0, {.error = -ENXIO, REGION, HINT(check_region)}},
	{"TemporaryRedirect", 0, {.error = -EAGAIN}},
	{"ConditionalRequestConflict", 0, {.error = -EBUSY}},
	{"OperationAborted", 0, {.error = -EBUSY}},
	{"EntityTooLarge", 0, {.error = -EFBIG}},
	{"InvalidRange", 0, {.error = -ERANGE}},
	{"InvalidStorageClass", 0,
		{.error = -EINVAL,
			HINT("the store does not have the storage class of option storage_class")}},
	/* What arrived was not what was sent. */
	{"BadDigest", 0, {.error = -EIO}},
	{"XAmzContentSHA256Mismatch", 0, {.error = -EIO}},
	{"XAmzContentChecksumMismatch", 0, {.error = -EIO}},
	{"IncompleteBody", 0, {.error = -EIO}},
	{"RequestTimeout", 0, {.error = -EIO}},
	{"InternalError", 0, {.error = -EIO}},
	{"NotImplemented", 0, {.error = -EOPNOTSUPP}},
	/* These are given before anything is done; another 503 may come from anywhere. */
	{"SlowDown", 0, {.error = -EBUSY, SLOW}},
	{"RequestLimitExceeded", 0, {.error = -EBUSY, SLOW}},
	{"Throttling", 0, {.error = -EBUSY, SLOW}},
	{NULL, 301, {.error = -ENXIO, REGION, HINT(check_region)}},
	{NULL, 307, {.error = -EAGAIN}},
	{NULL, 401, {.error = -EACCES, HINT(check_keys)}},
	{NULL, 403, {.error = -EACCES, HINT(check_policy)}},
	{NULL, 404, {.error = -ENOENT}},
	{NULL, 405, {.error = -EOPNOTSUPP}},
	{NULL, 407,
		{.error = -EACCES,
			HINT("the proxy wants credentials: give them in option proxy=URL")}},
	{NULL, 408, {.error = -EIO}},
	{NULL, 409, {.error = -EBUSY}},
	{NULL, 412, {.error = -EEXIST}},
	{NULL, 413, {.error = -EFBIG}},
	{NULL, 416, {.error = -ERANGE}},
	{NULL, 429, {.error = -EBUSY, SLOW}},
	{NULL, 501, {.error = -EOPNOTSUPP}},
	{NULL, 503, {.error = -EIO, SLOW}},
	{NULL, 507, {.error = -ENOSPC}},
};

struct s3_error s3_errors_of_answer(long status, const char *code)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];

		if (row->code != NULL ? strcmp(row->code, code) == 0 : row->status == status)
			return row->is;
	}
	if (status >= 500)
		return (struct s3_error){.error = -EIO};
	if (status >= 400)
		return (struct s3_error){.error = -EINVAL};
	return (struct s3_error){.error = -EPROTO};
}

/* -ECONNREFUSED promises that nothing was asked of the store. */
static const struct {
	CURLcode curl;
	int error;
} curl_rows[] = {
	{CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH},
	{CURLE_COULDNT_RESOLVE_PROXY, -EHOSTUNREACH},
	{CURLE_COULDNT_CONNECT, -ECONNREFUSED},
	{CURLE_PROXY, -ECONNREFUSED},
	{CURLE_SSL_CONNECT_ERROR, -ECONNREFUSED},
	{CURLE_PEER_FAILED_VERIFICATION, -EACCES},
	{CURLE_SSL_CACERT_BADFILE, -EACCES},
	{CURLE_SSL_CERTPROBLEM, -EACCES},
	{CURLE_SSL_ISSUER_ERROR, -EACCES},
	{CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT},
	{CURLE_GOT_NOTHING, -ECONNRESET},
	{CURLE_SEND_ERROR, -ECONNRESET},
	{CURLE_RECV_ERROR, -ECONNRESET},
	{CURLE_SEND_FAIL_REWIND, -ECONNRESET},
	{CURLE_PARTIAL_FILE, -EIO},
	{CURLE_OUT_OF_MEMORY, -ENOMEM},
	{CURLE_WEIRD_SERVER_REPLY, -EPROTO},
	{CURLE_UNSUPPORTED_PROTOCOL, -EPROTO},
	{CURLE_HTTP2, -EPROTO},
	{CURLE_HTTP2_STREAM, -EPROTO},
	{CURLE_WRITE_ERROR, -EPROTO},
	{CURLE_BAD_CONTENT_ENCODING, -EPROTO},
};

int s3_errors_of_curl(int curl)
{
	for (size_t i = 0; i < sizeof(curl_rows) / sizeof(curl_rows[0]); i++) {
		if (curl_rows[i].curl == (CURLcode)curl)
			return curl_rows[i].error;
	}
	return -EIO;
}
