/*
 * operation_model.h: random operations on the files of many accounts, and what is there after them,
 * in memory. The operations come from the seed and the model alone, so that the model of any moment
 * can be made again. For tests.
 */
#ifndef MAILFS_TESTS_COMPONENT_OPERATION_MODEL_H
#define MAILFS_TESTS_COMPONENT_OPERATION_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPERATION_MODEL_ACCOUNTS 6
#define OPERATION_MODEL_DIRECTORIES 2
#define OPERATION_MODEL_NAMES 7
#define OPERATION_MODEL_MAX_BYTES 60000

struct model_file {
	unsigned int n_names;
	size_t size_bytes;
	uint8_t data[OPERATION_MODEL_MAX_BYTES];
	uint32_t xattr; /* 0: none */
};

struct operation_model {
	bool has_account[OPERATION_MODEL_ACCOUNTS];
	bool has_directory[OPERATION_MODEL_ACCOUNTS][OPERATION_MODEL_DIRECTORIES];
	struct model_file *names[OPERATION_MODEL_ACCOUNTS][OPERATION_MODEL_DIRECTORIES]
				[OPERATION_MODEL_NAMES];
	unsigned int seed;
};

struct operation {
	enum {
		MAKE_ACCOUNT,
		MAKE_DIRECTORY,
		REMOVE_DIRECTORY,
		REMOVE_ACCOUNT,
		CREATE,
		WRITE,
		TRUNCATE,
		SET_XATTR,
		RENAME,
		LINK,
		UNLINK,
	} what;
	size_t account, directory, name, to_directory, to_name;
	size_t at, n;
	unsigned int noise; /* of the content that is written, and of the attribute */
};

/* Bodies, index files, others. */
extern const char *const operation_model_names[OPERATION_MODEL_NAMES];

/* A valid one, whatever the model is. */
struct operation operation_model_next(struct operation_model *m);

void operation_model_apply(struct operation_model *m, const struct operation *o);

/* What a WRITE writes: o->n bytes. */
void operation_model_fill(const struct operation *o, uint8_t *data);

/* As after so many operations from this seed; what it was is freed. */
void operation_model_make(struct operation_model *m, unsigned int seed, uint64_t n_operations);

void operation_model_done(struct operation_model *m);

#endif
