/*
 * test_s3_credentials.c: the sources of credentials, and how they are kept fresh. The metadata
 * services are a small server on loopback.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "backends/s3/s3_credentials.h"
#include "backends/s3/s3_keeper.h"
#include "backends/s3/s3_metadata.h"
#include "canned_server.h"
#include "util/clock.h"
#include "util/file_io.h"
#include "util/lock.h"

static char directory[64], path[128];

static void set_up(void)
{
	static const char *const variables[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE",
		"AWS_CONFIG_FILE", "AWS_REGION", "AWS_DEFAULT_REGION",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
		"AWS_EC2_METADATA_SERVICE_ENDPOINT"};

	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	strcpy(directory, "/tmp/test_s3_credentials.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	setenv("HOME", directory, 1);
	snprintf(path, sizeof(path), "%s/.aws", directory);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/.aws/credentials", directory);
}

static void tear_down(void)
{
	char name[160];

	unlink(path);
	snprintf(name, sizeof(name), "%s/.aws/config", directory);
	unlink(name);
	snprintf(name, sizeof(name), "%s/.aws", directory);
	rmdir(name);
	rmdir(directory);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	ck_assert_int_eq(file_io_replace_file(name, text, strlen(text), 0600), 0);
	ck_assert_int_eq(chmod(name, mode), 0);
}

static void check_found(const char *profile, const char *file, const char *access_key,
	const char *secret_key, const char *token)
{
	struct s3_credentials c;
	char *message = NULL;
	int r = s3_credentials_find(profile, file, &c, &message);

	ck_assert_msg(r == 0, "%s", message);
	ck_assert_str_eq(c.access_key, access_key);
	ck_assert_str_eq(c.secret_key, secret_key);
	ck_assert_str_eq(c.token, token);
}

static void check_refused(
	const char *profile, const char *file, int error, const char *expected, const char *secret)
{
	struct s3_credentials c;
	char *message = NULL;

	ck_assert_int_eq(s3_credentials_find(profile, file, &c, &message), error);
	ck_assert_ptr_nonnull(message);
	ck_assert_msg(strstr(message, expected) != NULL, "%s", message);
	if (secret != NULL)
		ck_assert_msg(strstr(message, secret) == NULL, "%s", message);
	free(message);
}

START_TEST(test_nothing)
{
	check_refused(NULL, NULL, -ENOKEY, "AWS_ACCESS_KEY_ID is not set", NULL);
	check_refused(NULL, NULL, -ENOKEY, path, NULL);
	check_refused(NULL, NULL, -ENOKEY, "AWS_CONTAINER_CREDENTIALS_FULL_URI", NULL);
	check_refused(NULL, NULL, -ENOKEY, "AWS_EC2_METADATA_DISABLED", NULL);
	check_refused(NULL, "/no/such/file", -ENOENT, "/no/such/file", NULL);
}
END_TEST

START_TEST(test_environment)
{
	setenv("AWS_ACCESS_KEY_ID", "ID", 1);
	check_refused(NULL, NULL, -EINVAL, "AWS_SECRET_ACCESS_KEY is not", NULL);
	setenv("AWS_SECRET_ACCESS_KEY", "the-secret", 1);
	check_found(NULL, NULL, "ID", "the-secret", "");
	setenv("AWS_SESSION_TOKEN", "token", 1);
	check_found(NULL, NULL, "ID", "the-secret", "token");
	setenv("AWS_ACCESS_KEY_ID", "ID\r\nX-Evil: 1", 1);
	check_refused(NULL, NULL, -EINVAL, "malformed", "the-secret");
}
END_TEST

static const char some_profiles[] =
	"# comment\n[default]\naws_access_key_id = ID\naws_secret_access_key=a=b+/\n\n"
	" [ second ] \r\naws_access_key_id=ID2\r\naws_secret_access_key=secret2\r\n"
	"aws_session_token = token2\r\n[half]\naws_access_key_id=ID3\n[empty]\n";

START_TEST(test_file)
{
	write_file(path, some_profiles, 0600);
	check_found(NULL, NULL, "ID", "a=b+/", "");
	check_found("second", NULL, "ID2", "secret2", "token2");
	check_refused("half", NULL, -EINVAL, "lacks", NULL);
	check_refused("third", NULL, -ENOKEY, "profile 'third'", "secret2");
	setenv("AWS_PROFILE", "second", 1);
	check_found(NULL, NULL, "ID2", "secret2", "token2");
	check_found("default", path, "ID", "a=b+/", "");
	/* Who names a profile means that one and not the environment. */
	setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "env", 1);
	check_found("default", NULL, "ID", "a=b+/", "");
	check_found(NULL, NULL, "ENV", "env", "");
}
END_TEST

START_TEST(test_file_elsewhere)
{
	char other[128];

	write_file(path, some_profiles, 0600);
	snprintf(other, sizeof(other), "%s/other", directory);
	ck_assert_int_eq(rename(path, other), 0);
	setenv("AWS_SHARED_CREDENTIALS_FILE", other, 1);
	check_found(NULL, NULL, "ID", "a=b+/", "");
	unlink(other);
}
END_TEST

START_TEST(test_file_that_others_may_read)
{
	static const mode_t modes[] = {0640, 0604, 0620, 0666, 0601};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		write_file(path, some_profiles, modes[i]);
		check_refused(NULL, NULL, -EPERM, "chmod 600", "a=b+/");
	}
	write_file(path, some_profiles, 0400);
	check_found(NULL, NULL, "ID", "a=b+/", "");
}
END_TEST

START_TEST(test_file_of_somebody_else)
{
	if (geteuid() != 0)
		return; /* only root may give files away */
	write_file(path, some_profiles, 0600);
	ck_assert_int_eq(chown(path, 12345, 12345), 0);
	check_refused(NULL, NULL, -EPERM, "belongs to another user", "a=b+/");
}
END_TEST

START_TEST(test_file_that_is_none)
{
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	check_refused(NULL, NULL, -EINVAL, "no regular file", NULL);
}
END_TEST

START_TEST(test_region)
{
	char config[160], region[32];

	ck_assert(!s3_credentials_find_region(NULL, region, sizeof(region)));
	snprintf(config, sizeof(config), "%s/.aws/config", directory);
	write_file(config, "[default]\nregion=r1\n[profile two]\nregion = r2\n", 0644);
	ck_assert(s3_credentials_find_region(NULL, region, sizeof(region)));
	ck_assert_str_eq(region, "r1");
	ck_assert(s3_credentials_find_region("two", region, sizeof(region)));
	ck_assert_str_eq(region, "r2");
	ck_assert(!s3_credentials_find_region("three", region, sizeof(region)));
	setenv("AWS_DEFAULT_REGION", "r3", 1);
	ck_assert(s3_credentials_find_region("two", region, sizeof(region)));
	ck_assert_str_eq(region, "r3");
	setenv("AWS_REGION", "r4", 1);
	ck_assert(s3_credentials_find_region(NULL, region, sizeof(region)));
	ck_assert_str_eq(region, "r4");
}
END_TEST

/* ---- metadata services */

struct service {
	struct canned_server *server;
	char url[64];
	atomic_int n_fetched;
	int life_s;                /* of what it gives; 0: no Expiration */
	int status;                /* 0: 200 */
	bool is_mad;               /* gives something else */
	const char *authorization; /* that a container must show */
};

static void give_credentials(struct service *s, struct canned_answer *answer)
{
	char body[512], expiration[64] = "";
	int n = atomic_fetch_add(&s->n_fetched, 1) + 1;
	time_t end = (time_t)(clock_realtime_ms() / 1000) + s->life_s;
	struct tm tm;

	gmtime_r(&end, &tm);
	if (s->life_s != 0)
		strftime(expiration, sizeof(expiration), ",\"Expiration\":\"%Y-%m-%dT%H:%M:%SZ\"",
			&tm);
	snprintf(body, sizeof(body),
		"{\"Code\":\"Success\",\"AccessKeyId\":\"ID%d\",\"SecretAccessKey\":\"secret%d\","
		"\"Token\":\"token%d\"%s}",
		n, n, n, expiration);
	canned_answer_set(answer, s->status == 500 ? "500 Oh" : "200 OK", NULL,
		s->is_mad ? "{\"AccessKeyId\":5}" : body);
}

static void serve(void *arg, const struct canned_request *request, struct canned_answer *answer)
{
	static const char role_path[] = "/latest/meta-data/iam/security-credentials/";
	struct service *s = arg;
	bool has_token = strcmp(canned_header(request, "X-aws-ec2-metadata-token"), "tok") == 0;

	if (strcmp(request->target, "/latest/api/token") == 0)
		canned_answer_set(answer,
			strcmp(request->method, "PUT") == 0 &&
					*canned_header(request,
						"X-aws-ec2-metadata-token-ttl-seconds") != '\0'
				? "200 OK"
				: "400 Bad",
			NULL, "tok");
	else if (strcmp(request->target, role_path) == 0 && has_token)
		canned_answer_set(answer, s->status == 404 ? "404 No" : "200 OK", NULL, "role-1\n");
	else if (strncmp(request->target, role_path, sizeof(role_path) - 1) == 0 && has_token &&
		 strcmp(request->target + sizeof(role_path) - 1, "role-1") == 0)
		give_credentials(s, answer);
	else if (strcmp(request->target, "/container?x=1") == 0 && s->authorization != NULL &&
		 strcmp(canned_header(request, "Authorization"), s->authorization) == 0)
		give_credentials(s, answer);
	else
		canned_answer_set(answer, "401 Unauthorized", NULL, "");
}

static void start_service(struct service *s)
{
	*s = (struct service){.life_s = 3600};
	s->server = canned_server_new(serve, s);
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", canned_server_port(s->server));
}

START_TEST(test_instance)
{
	struct service s;
	struct s3_credentials c;
	char *message = NULL;

	start_service(&s);
	unsetenv("AWS_EC2_METADATA_DISABLED");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", s.url, 1);
	ck_assert_int_eq(s3_credentials_find(NULL, NULL, &c, &message), 0);
	ck_assert_str_eq(c.access_key, "ID1");
	ck_assert_str_eq(c.token, "token1");
	ck_assert_int_eq(c.source, S3_CREDENTIALS_INSTANCE);
	ck_assert_int_gt(c.expires_ms, clock_realtime_ms() + 3590000);
	ck_assert_int_lt(c.expires_ms, clock_realtime_ms() + 3610000);
	s.life_s = 0;
	check_found(NULL, NULL, "ID2", "secret2", "token2");
	s.status = 500;
	check_refused(NULL, NULL, -EACCES, "HTTP status 500", "secret");
	s.status = 404;
	check_refused(NULL, NULL, -ENOKEY, "no role", NULL);
	s.status = 0;
	s.is_mad = true;
	check_refused(NULL, NULL, -EPROTO, "no credentials", "secret");
	canned_server_free(s.server);
	check_refused(NULL, NULL, -ENOKEY, s.url, NULL);
}
END_TEST

START_TEST(test_container)
{
	struct service s;
	char url[128];

	start_service(&s);
	s.authorization = "Bearer abc";
	snprintf(url, sizeof(url), "%s/container?x=1", s.url);
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
	check_refused(NULL, NULL, -EACCES, "HTTP status 401", NULL);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer abc", 1);
	check_found(NULL, NULL, "ID1", "secret1", "token1");
	write_file(path, "Bearer abc\n", 0600);
	unsetenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path, 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/no/such/file", 1);
	check_found(NULL, NULL, "ID2", "secret2", "token2");
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.1.1/x", 1);
	check_refused(NULL, NULL, -EINVAL, "it must be https", NULL);
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1.example.com/x", 1);
	check_refused(NULL, NULL, -EINVAL, "it must be https", NULL);
	canned_server_free(s.server);
}
END_TEST

/* ---- the keeper */

struct attempts {
	struct lock lock;
	struct lock_condition changed;
	int n;
};

static void attempted(void *arg)
{
	struct attempts *a = arg;

	lock_acquire(&a->lock);
	a->n++;
	lock_condition_signal(&a->changed);
	lock_release(&a->lock);
}

static void wait_for_attempt(struct attempts *a, int n)
{
	lock_acquire(&a->lock);
	while (a->n < n)
		lock_condition_wait(&a->changed, &a->lock);
	lock_release(&a->lock);
}

static struct s3_keeper *start_keeper(struct attempts *a)
{
	struct s3_keeper *k = NULL;
	char *message = NULL;

	*a = (struct attempts){.n = 0};
	lock_init(&a->lock);
	lock_condition_init(&a->changed);
	ck_assert_msg(s3_keeper_new(NULL, NULL, &k, &message) == 0, "%s", message);
	ck_assert_int_eq(s3_keeper_start(k, attempted, a), 0);
	return k;
}

START_TEST(test_renewed_before_the_end)
{
	struct service s;
	struct attempts a;
	struct s3_keeper *k;
	struct s3_credentials c;
	uint64_t generation = 0;

	start_service(&s);
	unsetenv("AWS_EC2_METADATA_DISABLED");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", s.url, 1);
	s.life_s = 4;
	k = start_keeper(&a);
	s3_keeper_read(k, &generation, &c);
	ck_assert_str_eq(c.access_key, "ID1");
	s.life_s = 3600;
	wait_for_attempt(&a, 1);
	ck_assert_int_lt(clock_realtime_ms(), c.expires_ms);
	s3_keeper_read(k, &generation, &c);
	ck_assert_str_eq(c.access_key, "ID2");
	s3_keeper_free(k);
	canned_server_free(s.server);
}
END_TEST

START_TEST(test_renewed_when_refused)
{
	struct service s;
	struct attempts a;
	struct s3_keeper *k;
	struct s3_credentials c;
	uint64_t generation = 0, old, attempts;

	start_service(&s);
	unsetenv("AWS_EC2_METADATA_DISABLED");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", s.url, 1);
	k = start_keeper(&a);
	s3_keeper_read(k, &generation, &c);
	old = generation;
	ck_assert(s3_keeper_refuse(k, old, &attempts));
	wait_for_attempt(&a, 1);
	ck_assert_uint_gt(s3_keeper_attempts(k), attempts);
	s3_keeper_read(k, &generation, &c);
	ck_assert_str_eq(c.access_key, "ID2");
	/* What was signed with the old ones need not wait. */
	ck_assert(s3_keeper_refuse(k, old, &attempts));
	ck_assert_uint_gt(s3_keeper_attempts(k), attempts);
	/* A fetch that fails wakes those who wait, and the old ones stay. */
	s.status = 500;
	ck_assert(s3_keeper_refuse(k, generation, &attempts));
	wait_for_attempt(&a, 2);
	old = generation;
	s3_keeper_read(k, &generation, &c);
	ck_assert_uint_eq(generation, old);
	s3_keeper_free(k);
	canned_server_free(s.server);
}
END_TEST

START_TEST(test_what_cannot_be_renewed)
{
	struct attempts a;
	struct s3_keeper *k;
	uint64_t attempts;

	setenv("AWS_ACCESS_KEY_ID", "ID", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	k = start_keeper(&a);
	ck_assert(!s3_keeper_refuse(k, 1, &attempts));
	s3_keeper_free(k);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("s3_credentials");
	TCase *tc = tcase_create("credentials");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_nothing);
	tcase_add_test(tc, test_environment);
	tcase_add_test(tc, test_file);
	tcase_add_test(tc, test_file_elsewhere);
	tcase_add_test(tc, test_file_that_others_may_read);
	tcase_add_test(tc, test_file_of_somebody_else);
	tcase_add_test(tc, test_file_that_is_none);
	tcase_add_test(tc, test_region);
	tcase_add_test(tc, test_instance);
	tcase_add_test(tc, test_container);
	tcase_add_test(tc, test_renewed_before_the_end);
	tcase_add_test(tc, test_renewed_when_refused);
	tcase_add_test(tc, test_what_cannot_be_renewed);
	suite_add_tcase(suite, tc);
	return suite;
}
