#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/state_directory.h"
#include "util/file_io.h"

#define VOLUME_A "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
#define VOLUME_B "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"

static char scratch[PATH_MAX / 2];
static char path[PATH_MAX];
static char *message;
static struct state_directory *state;

static void set_up(void)
{
	const char *base = getenv("TMPDIR");

	snprintf(scratch, sizeof(scratch), "%s/mailfs-state.XXXXXX", base != NULL ? base : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(scratch));
	snprintf(path, sizeof(path), "%s/deep/state", scratch);
}

static void clean_up(void)
{
	char command[PATH_MAX];

	state_directory_close(state);
	state = NULL;
	free(message);
	message = NULL;
	snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
	ck_assert_int_eq(system(command), 0);
}

static int open_as(const char *volume, const char *url)
{
	struct state_request request = {path, volume, url, "/srv/mail"};

	free(message);
	message = NULL;
	return state_directory_open(&request, &state, &message);
}

static void refused(int error, const char *part_of_message)
{
	ck_assert_int_eq(open_as(VOLUME_A, "file:///a"), error);
	ck_assert_ptr_nonnull(message);
	ck_assert_msg(strstr(message, part_of_message) != NULL, "'%s' not in: %s", part_of_message,
		message);
	ck_assert_msg(strstr(message, path) != NULL, "the path is not in: %s", message);
}

static void close_state(void)
{
	state_directory_close(state);
	state = NULL;
}

/* Makes PATH/NAME with this text. */
static void plant(const char *name, const char *text)
{
	char file[PATH_MAX + 64];

	ck_assert_int_eq(file_io_make_directories(path, 0700), 0);
	snprintf(file, sizeof(file), "%s/%s", path, name);
	ck_assert_int_eq(file_io_replace_file(file, text, strlen(text), 0600), 0);
}

static bool exists(const char *name)
{
	char file[PATH_MAX + 64];

	snprintf(file, sizeof(file), "%s/%s", path, name);
	return access(file, F_OK) == 0;
}

START_TEST(test_made_and_found_again)
{
	char node_uuid[UUID_TEXT_BYTES];
	struct stat st;

	ck_assert_int_eq(open_as(VOLUME_A, "file:///a"), 0);
	ck_assert_str_eq(state->path, path);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_str_eq(state->identity.volume_uuid, VOLUME_A);
	strcpy(node_uuid, state->identity.node_uuid);
	close_state();
	ck_assert_int_eq(open_as(VOLUME_A, "file:///a"), 0);
	ck_assert_str_eq(state->identity.node_uuid, node_uuid);
	ck_assert_str_eq(state->node_path + strlen(path), "/db");
	ck_assert_str_eq(state->control_socket_path + strlen(path), "/control.sock");
}
END_TEST

START_TEST(test_an_empty_directory_will_do)
{
	ck_assert_int_eq(file_io_make_directories(path, 0755), 0);
	plant("state.json.new", "half"); /* a crash while it was made */
	plant("lock", "");
	ck_assert_int_eq(open_as(VOLUME_A, "file:///a"), 0);
}
END_TEST

START_TEST(test_in_use)
{
	char expected[64];

	ck_assert_int_eq(open_as(VOLUME_A, "file:///a"), 0);
	snprintf(expected, sizeof(expected), "pid %ld (mounted at '/srv/mail')", (long)getpid());
	refused(-EBUSY, expected);
	close_state();
	ck_assert_int_eq(open_as(VOLUME_A, "file:///a"), 0);
}
END_TEST

START_TEST(test_the_lock_dies_with_its_process)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(open_as(VOLUME_A, "file:///a") == 0 ? 0 : 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(open_as(VOLUME_A, "file:///a"), 0);
}
END_TEST

START_TEST(test_another_volume)
{
	ck_assert_int_eq(open_as(VOLUME_B, "file:///b"), 0);
	close_state();
	refused(-EEXIST, VOLUME_B);
	ck_assert_int_eq(open_as(VOLUME_B, "file:///b"), 0);
}
END_TEST

START_TEST(test_a_volume_that_moved)
{
	ck_assert_int_eq(open_as(VOLUME_A, "file:///a"), 0);
	close_state();
	ck_assert_int_eq(open_as(VOLUME_A, "file:///elsewhere"), 0);
	close_state();
	ck_assert_int_eq(open_as(VOLUME_A, "file:///elsewhere"), 0);
	ck_assert_str_eq(state->identity.url, "file:///elsewhere");
}
END_TEST

START_TEST(test_foreign_directory)
{
	plant("precious", "data");
	refused(-ENOTEMPTY, "not a state directory");
	ck_assert(!exists("lock"));
	ck_assert(!exists("state.json"));
}
END_TEST

START_TEST(test_not_a_directory)
{
	char parent[PATH_MAX];

	snprintf(parent, sizeof(parent), "%s/deep", scratch);
	ck_assert_int_eq(mkdir(parent, 0700), 0);
	ck_assert_int_eq(file_io_replace_file(path, "x", 1, 0600), 0);
	refused(-ENOTDIR, "Not a directory");
}
END_TEST

START_TEST(test_newer_format)
{
	plant("state.json", "{\"format\": \"mailfs-state\", \"format_version\": 3}");
	refused(-EPROTONOSUPPORT, "format 3");
}
END_TEST

START_TEST(test_damaged)
{
	static const char *const texts[] = {"", "{", "[]", "{\"format\": \"other\"}",
		"{\"format\": \"mailfs-state\"}",
		"{\"format\": \"mailfs-state\", \"format_version\": 0}",
		"{\"format\": \"mailfs-state\", \"format_version\": \"1\"}",
		"{\"format\": \"mailfs-state\", \"format_version\": 2, \"volume_uuid\": \"x\"}",
		"{\"format\": \"mailfs-state\", \"format_version\": 2, \"volume_uuid\": "
		"\"" VOLUME_A "\", \"node_uuid\": \"" VOLUME_A "\", \"created\": \"now\"}"};

	for (unsigned int i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		plant("state.json", texts[i]);
		refused(-EBADMSG, "damaged");
	}
}
END_TEST

/* As somebody who may not: run in a child, since root may. */
START_TEST(test_not_writable)
{
	int status;
	pid_t child;

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chmod(scratch, 0755), 0);
	child = fork();
	if (child == 0) {
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(2);
		_exit(open_as(VOLUME_A, "file:///a") == -EACCES &&
					strstr(message, "-o state=DIR") != NULL
				? 0
				: 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(test_identity_text)
{
	struct state_identity one, two;
	char *text;

	ck_assert_int_eq(state_identity_new(VOLUME_A, "s3://b/\"x\"", &one), 0);
	ck_assert_int_eq(state_identity_format(&one, &text), 0);
	ck_assert_int_eq(state_identity_parse(text, strlen(text), &two), 0);
	ck_assert_str_eq(two.url, "s3://b/\"x\"");
	ck_assert_str_eq(two.node_uuid, one.node_uuid);
	ck_assert_str_eq(two.created, one.created);
	for (size_t cut = 0; cut < strlen(text) - 1; cut++) {
		struct state_identity part;

		ck_assert_int_eq(state_identity_parse(text, cut, &part), -EBADMSG);
	}
	free(text);
	state_identity_done(&one);
	state_identity_done(&two);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("state_directory");
	TCase *tc = tcase_create("state_directory");

	tcase_add_checked_fixture(tc, set_up, clean_up);
	tcase_add_test(tc, test_made_and_found_again);
	tcase_add_test(tc, test_an_empty_directory_will_do);
	tcase_add_test(tc, test_in_use);
	tcase_add_test(tc, test_the_lock_dies_with_its_process);
	tcase_add_test(tc, test_another_volume);
	tcase_add_test(tc, test_a_volume_that_moved);
	tcase_add_test(tc, test_foreign_directory);
	tcase_add_test(tc, test_not_a_directory);
	tcase_add_test(tc, test_newer_format);
	tcase_add_test(tc, test_damaged);
	tcase_add_test(tc, test_not_writable);
	tcase_add_test(tc, test_identity_text);
	suite_add_tcase(suite, tc);
	return suite;
}
