/*
 * Delivers mails over LMTP as fast as the server takes them, at little cost of its own: one thread
 * per connection, a message built beforehand of which only the Message-ID changes, commands
 * pipelined as an MTA does it.
 *
 *     lmtp_load -s SOCKET [-c CONNECTIONS] [-n MAILS] [-b BYTES] [-u USERS] [-p PREFIX] [-g MS]
 *
 * The mails go to PREFIX1..PREFIXn in turn, with pauses of random length up to MS before each.
 * Prints one line of JSON: mails, failed, seconds, and the latency of one delivery (RSET to the
 * final reply) in microseconds.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct options {
	const char *socket_path;
	const char *prefix;
	unsigned connections;
	unsigned users;
	unsigned mails;
	size_t size_bytes;
	unsigned gap_ms;
};

/* One connection and what it measured. */
struct client {
	const struct options *options;
	pthread_t thread;
	int fd;
	char input[4096];
	size_t input_len, input_at;
	unsigned failed;
};

static struct options options = {
	.prefix = "u", .connections = 1, .users = 16, .mails = 200, .size_bytes = 5120};
static atomic_uint next_mail;
static uint32_t *latency_us; /* one per mail; 0 when it was refused */
static unsigned long run_id;

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "lmtp_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void send_all(struct client *client, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(client->fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("send");
		data += n;
		len -= (size_t)n;
	}
}

static char next_byte(struct client *client)
{
	if (client->input_at == client->input_len) {
		ssize_t n = recv(client->fd, client->input, sizeof(client->input), 0);

		if (n <= 0) {
			if (n == 0)
				errno = ECONNRESET;
			die("recv");
		}
		client->input_len = (size_t)n;
		client->input_at = 0;
	}
	return client->input[client->input_at++];
}

/* Reads one reply, of any number of lines; its code. The last line is kept in `text`. */
static int read_reply(struct client *client, char text[256])
{
	size_t len;
	char c;

	do {
		len = 0;
		while ((c = next_byte(client)) != '\n')
			if (len < 255)
				text[len++] = c;
		text[len] = '\0';
	} while (len > 3 && text[3] == '-');
	return atoi(text);
}

static bool expect(struct client *client, int code, const char *what)
{
	char text[256];

	if (read_reply(client, text) == code)
		return true;
	fprintf(stderr, "lmtp_load: %s: %s\n", what, text);
	return false;
}

static void connect_client(struct client *client)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(client->options->socket_path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		die(client->options->socket_path);
	}
	strcpy(address.sun_path, client->options->socket_path);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0)
		die("socket");
	if (connect(client->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die(client->options->socket_path);
	if (!expect(client, 220, "greeting"))
		exit(1);
	send_all(client, "LHLO bench\r\n", 12);
	if (!expect(client, 250, "LHLO"))
		exit(1);
}

/* Lines of 72 letters, after a header; `*id_at` is where eight digits are to be filled in. */
static char *build_message(size_t size_bytes, size_t *len, size_t *id_at)
{
	char *message = malloc(size_bytes + 512);
	int head;

	if (message == NULL)
		die("malloc");
	head = snprintf(message, 512,
		"From: Sender <sender@mailfs.test>\r\nTo: user@mailfs.test\r\n"
		"Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nSubject: A mail of the benchmark\r\n"
		"Message-ID: <%lx.00000000@bench.mailfs.test>\r\n\r\n",
		run_id);
	*id_at = (size_t)(strstr(message, ".00000000@") - message) + 1;
	*len = (size_t)head;
	for (unsigned column = 0; *len + 2 < size_bytes; column++) {
		if (column == 72) {
			memcpy(message + *len, "\r\n", 2);
			*len += 2;
			column = 0;
		}
		message[*len] = (char)('a' + (int)((*len * 7 + *len / 61) % 26));
		*len += 1;
	}
	memcpy(message + *len, "\r\n.\r\n", 5);
	*len += 5;
	return message;
}

/* Delivers one mail; false if the server refused it. */
static bool deliver(struct client *client, unsigned number, const char *message, size_t len)
{
	char envelope[256], text[256];
	bool accepted;
	int n = snprintf(envelope, sizeof(envelope),
		"RSET\r\nMAIL FROM:<sender@mailfs.test>\r\nRCPT TO:<%s%u>\r\nDATA\r\n",
		client->options->prefix, number % client->options->users + 1);

	send_all(client, envelope, (size_t)n);
	accepted = expect(client, 250, "RSET") && expect(client, 250, "MAIL") &&
		   expect(client, 250, "RCPT") && expect(client, 354, "DATA");
	if (!accepted) /* the replies are out of step now */
		exit(1);
	send_all(client, message, len);
	if (read_reply(client, text) / 100 == 2)
		return true;
	fprintf(stderr, "lmtp_load: refused: %s\n", text);
	return false;
}

static void pause_before(const struct client *client, unsigned *seed)
{
	if (client->options->gap_ms > 0)
		usleep((useconds_t)rand_r(seed) % (client->options->gap_ms * 1000));
}

static void *client_main(void *arg)
{
	struct client *client = arg;
	unsigned seed = (unsigned)client->fd;
	size_t len, id_at;
	char *message = build_message(client->options->size_bytes, &len, &id_at);
	unsigned number;

	while ((number = atomic_fetch_add(&next_mail, 1)) < client->options->mails) {
		char digits[9];
		double begun;

		pause_before(client, &seed);
		begun = now_s();
		snprintf(digits, sizeof(digits), "%08u", number % 100000000);
		memcpy(message + id_at, digits, 8);
		if (deliver(client, number, message, len))
			latency_us[number] = (uint32_t)((now_s() - begun) * 1e6) + 1;
		else
			client->failed++;
	}
	free(message);
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static unsigned number_option(const char *text, char name)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end != '\0' || end == text || value == 0 || value > 100000000) {
		fprintf(stderr, "lmtp_load: -%c needs a positive number, not '%s'\n", name, text);
		exit(2);
	}
	return (unsigned)value;
}

static void parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "s:c:n:b:u:p:g:")) != -1) {
		switch (c) {
		case 's':
			options.socket_path = optarg;
			break;
		case 'p':
			options.prefix = optarg;
			break;
		case 'c':
			options.connections = number_option(optarg, 'c');
			break;
		case 'n':
			options.mails = number_option(optarg, 'n');
			break;
		case 'b':
			options.size_bytes = number_option(optarg, 'b');
			break;
		case 'u':
			options.users = number_option(optarg, 'u');
			break;
		case 'g':
			options.gap_ms = number_option(optarg, 'g');
			break;
		default:
			exit(2);
		}
	}
	if (options.socket_path == NULL || optind != argc || strlen(options.prefix) > 64) {
		fprintf(stderr, "usage: lmtp_load -s SOCKET [-c CONNECTIONS] [-n MAILS] [-b BYTES] "
				"[-u USERS] [-p PREFIX] [-g MS]\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct client *clients;
	unsigned failed = 0, delivered;
	double begun, seconds;

	parse_options(argc, argv);
	run_id = (unsigned long)time(NULL) << 20 ^ (unsigned long)getpid();
	clients = calloc(options.connections, sizeof(*clients));
	latency_us = calloc(options.mails, sizeof(*latency_us));
	if (clients == NULL || latency_us == NULL)
		die("calloc");
	for (unsigned i = 0; i < options.connections; i++) {
		clients[i].options = &options;
		connect_client(&clients[i]);
	}
	begun = now_s();
	for (unsigned i = 0; i < options.connections; i++) {
		errno = pthread_create(&clients[i].thread, NULL, client_main, &clients[i]);
		if (errno != 0)
			die("pthread_create");
	}
	for (unsigned i = 0; i < options.connections; i++) {
		pthread_join(clients[i].thread, NULL);
		failed += clients[i].failed;
		close(clients[i].fd);
	}
	seconds = now_s() - begun;
	delivered = options.mails - failed;
	qsort(latency_us, options.mails, sizeof(*latency_us), by_value);
	printf("{\"mails\": %u, \"failed\": %u, \"seconds\": %.6f, \"rate\": %.1f, "
	       "\"p50_us\": %u, \"p99_us\": %u}\n",
		delivered, failed, seconds, delivered / seconds,
		delivered ? latency_us[failed + delivered / 2] : 0,
		delivered ? latency_us[failed + (delivered * 99ULL) / 100] : 0);
	free(latency_us);
	free(clients);
	return failed ? 1 : 0;
}
