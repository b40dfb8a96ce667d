#include <config.h>
#include "operation_model.h"

#include <stdlib.h>
#include <string.h>

#define ACCOUNTS OPERATION_MODEL_ACCOUNTS
#define DIRECTORIES OPERATION_MODEL_DIRECTORIES
#define NAMES OPERATION_MODEL_NAMES
#define MAX_BYTES OPERATION_MODEL_MAX_BYTES

const char *const operation_model_names[NAMES] = {"u.1", "u.2", "dovecot.index.log",
	"dovecot.index.cache", "plain", "1766.M1P2.host", "subscriptions"};

static size_t random_below(unsigned int *seed, size_t n)
{
	return (size_t)rand_r(seed) % n;
}

static void drop(struct model_file **name)
{
	if (*name != NULL && --(*name)->n_names == 0)
		free(*name);
	*name = NULL;
}

void operation_model_done(struct operation_model *m)
{
	for (size_t a = 0; a < ACCOUNTS; a++)
		for (size_t d = 0; d < DIRECTORIES; d++)
			for (size_t n = 0; n < NAMES; n++)
				drop(&m->names[a][d][n]);
}

static bool directory_is_empty(const struct operation_model *m, size_t account, size_t directory)
{
	for (size_t n = 0; n < NAMES; n++) {
		if (m->names[account][directory][n] != NULL)
			return false;
	}
	return true;
}

static bool account_is_empty(const struct operation_model *m, size_t account)
{
	for (size_t d = 0; d < DIRECTORIES; d++) {
		if (m->has_directory[account][d])
			return false;
	}
	return true;
}

static int choose_content(unsigned int *seed)
{
	size_t what = random_below(seed, 10);

	return what < 6 ? WRITE : what < 8 ? TRUNCATE : SET_XATTR;
}

struct operation operation_model_next(struct operation_model *m)
{
	unsigned int *seed = &m->seed;
	struct operation o = {.account = random_below(seed, ACCOUNTS),
		.directory = random_below(seed, DIRECTORIES),
		.name = random_below(seed, NAMES),
		.to_directory = random_below(seed, DIRECTORIES),
		.to_name = random_below(seed, NAMES)};
	static const size_t most[] = {100, 3000, 9000, 40000};
	size_t dice = random_below(seed, 100);
	bool target_is_other, exists;

	o.n = 1 + random_below(seed, most[random_below(seed, 4)]);
	o.at = random_below(seed, MAX_BYTES - o.n);
	o.noise = (unsigned int)rand_r(seed);
	exists = m->names[o.account][o.directory][o.name] != NULL;
	target_is_other = m->names[o.account][o.to_directory][o.to_name] !=
			  m->names[o.account][o.directory][o.name];
	if (!m->has_account[o.account])
		o.what = MAKE_ACCOUNT;
	else if (!m->has_directory[o.account][o.directory])
		o.what = dice < 10 && account_is_empty(m, o.account) ? REMOVE_ACCOUNT
								     : MAKE_DIRECTORY;
	else if (dice < 30 && directory_is_empty(m, o.account, o.directory))
		o.what = REMOVE_DIRECTORY;
	else if (!exists)
		o.what = CREATE;
	else if (dice < 60 || !m->has_directory[o.account][o.to_directory] || !target_is_other)
		o.what = dice < 80 ? choose_content(seed) : UNLINK;
	else if (dice < 80)
		o.what = RENAME;
	else if (dice < 88 && m->names[o.account][o.to_directory][o.to_name] == NULL)
		o.what = LINK;
	else
		o.what = UNLINK;
	return o;
}

void operation_model_fill(const struct operation *o, uint8_t *data)
{
	unsigned int noise = o->noise;

	for (size_t i = 0; i < o->n; i++)
		data[i] = (uint8_t)rand_r(&noise);
}

static void model_write(struct model_file *file, const struct operation *o)
{
	if (o->at > file->size_bytes)
		memset(file->data + file->size_bytes, 0, o->at - file->size_bytes);
	operation_model_fill(o, file->data + o->at);
	if (o->at + o->n > file->size_bytes)
		file->size_bytes = o->at + o->n;
}

static void model_truncate(struct model_file *file, size_t size_bytes)
{
	if (size_bytes > file->size_bytes)
		memset(file->data + file->size_bytes, 0, size_bytes - file->size_bytes);
	file->size_bytes = size_bytes;
}

void operation_model_apply(struct operation_model *m, const struct operation *o)
{
	struct model_file **name = &m->names[o->account][o->directory][o->name];
	struct model_file **to = &m->names[o->account][o->to_directory][o->to_name];

	switch (o->what) {
	case MAKE_ACCOUNT:
	case REMOVE_ACCOUNT:
		m->has_account[o->account] = o->what == MAKE_ACCOUNT;
		break;
	case MAKE_DIRECTORY:
	case REMOVE_DIRECTORY:
		m->has_directory[o->account][o->directory] = o->what == MAKE_DIRECTORY;
		break;
	case CREATE:
		*name = calloc(1, sizeof(**name));
		(*name)->n_names = 1;
		break;
	case WRITE:
		model_write(*name, o);
		break;
	case TRUNCATE:
		model_truncate(*name, o->at);
		break;
	case SET_XATTR:
		(*name)->xattr = o->noise | 1;
		break;
	case RENAME:
		drop(to);
		*to = *name;
		*name = NULL;
		break;
	case LINK:
		*to = *name;
		(*name)->n_names++;
		break;
	case UNLINK:
		drop(name);
		break;
	}
}

void operation_model_make(struct operation_model *m, unsigned int seed, uint64_t n_operations)
{
	operation_model_done(m);
	*m = (struct operation_model){.seed = seed};
	for (uint64_t i = 0; i < n_operations; i++) {
		struct operation o = operation_model_next(m);

		operation_model_apply(m, &o);
	}
}
