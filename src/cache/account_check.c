#include <config.h>
#include "cache/account_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cache/account_packs.h"
#include "cache/body_map.h"
#include "cache/file_blocks.h"
#include "cache/node_private.h"
#include "util/checksum.h"
#include "util/codec.h"
#include "util/map64.h"
#include "util/message.h"

/* As in doc/format-metadata.md: the position of a cookie in its key. */
#define POSITION_END (UINT64_C(1) << 62)

/* All types but that of the account itself. The inodes lead; the others follow them. */
enum column_number { INODES, COOKIES, EXTENTS, NAMES, TARGETS, XATTRS, BLOCKS, N_COLUMNS };

static const struct {
	enum key_type type;
	enum store_table table;
	const char *what;
} kinds[N_COLUMNS] = {
	[INODES] = {KEY_INODE, STORE_META, "an inode"},
	[COOKIES] = {KEY_COOKIE, STORE_META, "a cookie"},
	[EXTENTS] = {KEY_EXTENT, STORE_META, "an extent"},
	[NAMES] = {KEY_NAME, STORE_META, "a name"},
	[TARGETS] = {KEY_SYMLINK, STORE_META, "a symlink's target"},
	[XATTRS] = {KEY_XATTR, STORE_META, "an extended attribute"},
	[BLOCKS] = {KEY_DATA, STORE_DATA, "a block"},
};

/* The records of one type, in the order of inodes. */
struct column {
	struct store_iterator *it;
	bool valid;
	uint64_t local; /* the inode that the record belongs to */
	const uint8_t *tail, *value;
	size_t tail_bytes, value_bytes;
};

/* What is known of an inode, from itself and from the names that lead to it. */
struct link {
	uint32_t names, expected;
	uint32_t name_type, type; /* 0: not known yet */
	uint64_t name_parent, parent;
};

struct check {
	struct node *node;
	uint32_t account;
	struct column columns[N_COLUMNS];
	struct map64 places; /* local number -> index in links, plus 1 */
	struct link *links;
	size_t n_links, capacity;
	struct account_packs packs;
	account_check_fn *visit;
	void *arg;
	char **ret_message;
};

#define BROKEN(c, format, ...)                                                            \
	message_set((c)->ret_message, -EBADMSG, "account %" PRIu32 " is broken: " format, \
		(c)->account, __VA_ARGS__)

/* ---- columns */

static void look(struct column *c)
{
	size_t key_bytes;
	const uint8_t *key;
	struct decoder d;

	c->valid = store_iterator_valid(c->it);
	if (!c->valid)
		return;
	key = store_iterator_key(c->it, &key_bytes);
	d = decoder_over(key, key_bytes);
	(void)decode_u32(&d);
	(void)decode_u8(&d);
	c->local = decode_u64(&d); /* 0, which no inode has, when the key is too short */
	c->tail = key_tail(key, key_bytes, &c->tail_bytes);
	c->value = store_iterator_value(c->it, &c->value_bytes);
}

static void advance(struct column *c)
{
	store_iterator_next(c->it);
	look(c);
}

static bool is_at(const struct column *c, uint64_t local)
{
	return c->valid && c->local == local;
}

static uint64_t tail_number(const struct column *c)
{
	struct decoder d = decoder_over(c->tail, c->tail_bytes);

	return decode_u64(&d);
}

static int open_columns(struct check *c)
{
	for (int i = 0; i < N_COLUMNS; i++) {
		struct key from = key_type(c->account, kinds[i].type);
		struct key to = key_type(c->account, kinds[i].type + 1);

		c->columns[i].it = store_iterator_new(c->node->store, kinds[i].table, &from, &to);
		if (c->columns[i].it == NULL)
			return -ENOMEM;
		look(&c->columns[i]);
	}
	return 0;
}

/* ---- links */

static struct link *find_link(struct check *c, uint64_t local)
{
	uint64_t *place = map64_insert(&c->places, local);

	if (place == NULL)
		return NULL;
	if (*place == 0 && c->n_links == c->capacity) {
		size_t capacity = c->capacity ? c->capacity * 2 : 64;
		struct link *bigger = reallocarray(c->links, capacity, sizeof(*bigger));

		if (bigger == NULL)
			return NULL;
		c->links = bigger;
		c->capacity = capacity;
	}
	if (*place == 0) {
		c->links[c->n_links++] = (struct link){0};
		*place = c->n_links;
	}
	return &c->links[*place - 1];
}

/* A name of this account. Where another account begins its inode is not ours. */
static int note_name(struct check *c, const struct inode *directory, const struct entry *entry)
{
	uint64_t local = key_ino_local(entry->ino);
	struct link *link;

	if (key_ino_account(entry->ino) != c->account) {
		if (local == KEY_INO_LOCAL_ROOT && S_ISDIR(entry->mode))
			return 0;
		return BROKEN(c, "a name in directory %" PRIu64 " leads out of the account",
			key_ino_local(directory->ino));
	}
	link = local == 0 ? NULL : find_link(c, local);
	if (link == NULL)
		return local == 0 ? BROKEN(c, "a name leads to inode %d", 0) : -ENOMEM;
	if (link->names > 0 && (link->name_type != entry->mode || S_ISDIR(entry->mode)))
		return BROKEN(c, "the names of inode %" PRIu64 " contradict each other", local);
	link->names++;
	link->name_type = entry->mode;
	link->name_parent = directory->ino;
	return 0;
}

static int note_inode(struct check *c, const struct inode *inode)
{
	uint64_t local = key_ino_local(inode->ino);
	struct link *link = find_link(c, local);

	if (link == NULL)
		return -ENOMEM;
	link->type = inode->mode & S_IFMT;
	link->parent = inode->parent;
	link->expected = inode_is_directory(inode) && inode->nlink > 0 ? 1 : inode->nlink;
	if (local == KEY_INO_LOCAL_ROOT)
		link->expected = 0;
	return 0;
}

static int check_link(struct check *c, uint64_t local, const struct link *link)
{
	if (link->type == 0)
		return BROKEN(c, "a name leads to inode %" PRIu64 ", which does not exist", local);
	if (link->names != link->expected)
		return BROKEN(c, "inode %" PRIu64 " should have %" PRIu32 " names and has %" PRIu32,
			local, link->expected, link->names);
	if (link->names > 0 && link->name_type != link->type)
		return BROKEN(c, "a name says that inode %" PRIu64 " is of another type", local);
	if (link->names > 0 && S_ISDIR(link->type) && link->parent != link->name_parent)
		return BROKEN(c, "directory %" PRIu64 " has another parent than its name", local);
	return 0;
}

static int check_links(struct check *c)
{
	int r = 0;

	if (c->n_links > 0 && map64_find(&c->places, KEY_INO_LOCAL_ROOT) == NULL)
		return BROKEN(c, "the directory that it begins at, inode %d, does not exist",
			KEY_INO_LOCAL_ROOT);
	for (size_t i = 0; i < c->places.capacity && r == 0; i++) {
		const struct map64_slot *slot = &c->places.slots[i];

		if (slot->key != 0)
			r = check_link(c, slot->key, &c->links[slot->value - 1]);
	}
	return r;
}

/* ---- directories */

/* What both records of an entry have, as a number that does not depend on their order. */
static uint64_t entry_mark(const struct entry *entry, const void *name, size_t name_bytes)
{
	uint64_t numbers[3] = {entry->ino, entry->mode, entry->cookie};
	struct iovec parts[2] = {{numbers, sizeof(numbers)}, {(void *)(uintptr_t)name, name_bytes}};

	return checksum_64_parts(parts, 2);
}

struct tally {
	uint64_t entries, directories, mark;
};

static int take_name(struct check *c, const struct inode *directory, struct tally *tally)
{
	struct column *names = &c->columns[NAMES];
	struct entry entry;
	int r = record_decode_entry(names->value, names->value_bytes, &entry);

	if (r < 0 || names->tail_bytes == 0)
		return BROKEN(c, "a name in directory %" PRIu64 " is malformed", names->local);
	if (entry.cookie >= directory->next_cookie)
		return BROKEN(
			c, "a cookie of directory %" PRIu64 " would be given again", names->local);
	tally->entries++;
	tally->directories += S_ISDIR(entry.mode);
	tally->mark ^= entry_mark(&entry, names->tail, names->tail_bytes);
	return note_name(c, directory, &entry);
}

static int take_cookie(struct check *c, struct tally *tally)
{
	struct column *cookies = &c->columns[COOKIES];
	struct entry entry;
	int r = record_decode_entry(cookies->value, cookies->value_bytes, &entry);

	if (r < 0 || cookies->tail_bytes != 8 ||
		tail_number(cookies) != POSITION_END - entry.cookie)
		return BROKEN(c, "a cookie of directory %" PRIu64 " is malformed", cookies->local);
	tally->entries++;
	tally->mark ^= entry_mark(&entry, entry.name, strlen(entry.name));
	return 0;
}

static int check_directory(struct check *c, const struct inode *directory)
{
	uint64_t local = key_ino_local(directory->ino);
	struct tally names = {0}, cookies = {0};
	int r = 0;

	for (; r == 0 && is_at(&c->columns[NAMES], local); advance(&c->columns[NAMES]))
		r = take_name(c, directory, &names);
	for (; r == 0 && is_at(&c->columns[COOKIES], local); advance(&c->columns[COOKIES]))
		r = take_cookie(c, &cookies);
	if (r < 0)
		return r;
	if (names.entries != cookies.entries || names.mark != cookies.mark)
		return BROKEN(c, "names and cookies of directory %" PRIu64 " differ", local);
	if (names.entries != directory->entries)
		return BROKEN(c,
			"directory %" PRIu64 " should have %" PRIu64 " entries and has %" PRIu64,
			local, directory->entries, names.entries);
	if (directory->nlink > 0 && directory->nlink != 2 + names.directories)
		return BROKEN(c, "the link count of directory %" PRIu64 " is not right", local);
	return 0;
}

/* ---- content */

struct content {
	uint64_t blocks;         /* that exist */
	uint64_t extents_end;    /* in bytes: of the last extent */
	uint64_t covered_blocks; /* up to here by extents so far */
	struct upload local;
};

static int take_extent(struct check *c, const struct inode *inode, struct content *content)
{
	struct column *extents = &c->columns[EXTENTS];
	uint64_t first, end;
	struct extent x;

	if (extents->tail_bytes != 8 || record_decode_extent(tail_number(extents), extents->value,
						extents->value_bytes, &x) < 0)
		return BROKEN(c, "an extent of inode %" PRIu64 " is malformed", extents->local);
	if (!(inode->flags & INODE_BODY) || x.size_bytes == 0 ||
		(x.offset_bytes & (inode_block_bytes(inode) - 1)) != 0 ||
		x.offset_bytes < content->extents_end ||
		x.offset_bytes + x.size_bytes > inode->size_bytes)
		return BROKEN(c, "an extent of inode %" PRIu64 " does not lie within the file",
			extents->local);
	content->extents_end = x.offset_bytes + x.size_bytes;
	first = x.offset_bytes >> inode->block_shift;
	end = file_blocks_for(inode, content->extents_end);
	if (first < content->covered_blocks)
		first = content->covered_blocks;
	content->blocks += end - first;
	content->covered_blocks = end;
	return account_packs_take(&c->packs, &x);
}

static int take_block(struct check *c, const struct inode *inode, struct content *content)
{
	struct column *blocks = &c->columns[BLOCKS];
	uint64_t block = tail_number(blocks);

	if (blocks->tail_bytes != 8 || blocks->value_bytes > inode_block_bytes(inode) ||
		block >= file_blocks_for(inode, inode->size_bytes))
		return BROKEN(c, "a block of inode %" PRIu64 " does not lie within the file",
			blocks->local);
	if (block >= content->covered_blocks)
		content->blocks++;
	upload_add_range(&content->local, block, block + 1);
	return 0;
}

/* Extents and blocks by their place in the file; of the two at one place the extent first. */
static bool extent_is_next(struct check *c, const struct inode *inode, uint64_t local)
{
	const struct column *extents = &c->columns[EXTENTS], *blocks = &c->columns[BLOCKS];

	if (!is_at(extents, local) || !is_at(blocks, local))
		return is_at(extents, local);
	return tail_number(extents) >> inode->block_shift <= tail_number(blocks);
}

static int check_content(struct check *c, const struct inode *inode, struct content *content)
{
	uint64_t local = key_ino_local(inode->ino);
	int r = 0;

	account_packs_next_inode(&c->packs);
	while (r == 0 &&
		(is_at(&c->columns[EXTENTS], local) || is_at(&c->columns[BLOCKS], local))) {
		bool extent = extent_is_next(c, inode, local);

		r = extent ? take_extent(c, inode, content) : take_block(c, inode, content);
		advance(&c->columns[extent ? EXTENTS : BLOCKS]);
	}
	if (r == 0 && content->blocks != inode->blocks)
		return BROKEN(c,
			"inode %" PRIu64 " should have %" PRIu64 " blocks and has %" PRIu64, local,
			inode->blocks, content->blocks);
	return r;
}

static int check_symlink(struct check *c, const struct inode *inode)
{
	uint64_t local = key_ino_local(inode->ino);
	struct column *targets = &c->columns[TARGETS];

	if (!is_at(targets, local) || targets->tail_bytes != 0 || targets->value_bytes == 0)
		return BROKEN(c, "symlink %" PRIu64 " leads nowhere", local);
	advance(targets);
	return 0;
}

/* ---- the whole */

static int check_xattrs(struct check *c, const struct inode *inode)
{
	uint64_t local = key_ino_local(inode->ino);
	struct column *xattrs = &c->columns[XATTRS];

	for (; is_at(xattrs, local); advance(xattrs)) {
		if (xattrs->tail_bytes == 0 || !(inode->flags & INODE_HAS_XATTR))
			return BROKEN(c, "inode %" PRIu64 " has an unexpected attribute", local);
	}
	return 0;
}

/* Nothing but what belongs to inodes up to this one may have been passed. */
static int check_strays(struct check *c, uint64_t local)
{
	for (int i = 0; i < N_COLUMNS; i++) {
		const struct column *column = &c->columns[i];

		if (i != INODES && column->valid && column->local < local)
			return BROKEN(c, "%s of inode %" PRIu64 " belongs to nothing",
				kinds[i].what, column->local);
	}
	return 0;
}

static int check_inode(struct check *c)
{
	struct column *inodes = &c->columns[INODES];
	uint64_t local = inodes->local;
	struct content content = {0};
	struct inode inode;
	int r = check_strays(c, local);

	if (r < 0)
		return r;
	if (local == 0 || inodes->tail_bytes != 0 ||
		record_decode_inode(key_ino_compose(c->account, local), inodes->value,
			inodes->value_bytes, &inode) < 0)
		return BROKEN(c, "the record of inode %" PRIu64 " is malformed", local);
	r = note_inode(c, &inode);
	if (r == 0 && inode_is_directory(&inode))
		r = check_directory(c, &inode);
	if (r == 0 && S_ISREG(inode.mode))
		r = check_content(c, &inode, &content);
	if (r == 0 && S_ISLNK(inode.mode))
		r = check_symlink(c, &inode);
	if (r == 0)
		r = check_xattrs(c, &inode);
	if (!(inode.flags & INODE_BODY))
		content.local = (struct upload){0};
	return r == 0 ? c->visit(c->arg, &inode, &content.local) : r;
}

static int check_packs(struct check *c)
{
	char id[UUID_TEXT_BYTES];
	struct uuid pack;
	int r = account_packs_check(&c->packs, c->node, c->account, &pack);

	if (r != -EBADMSG)
		return r;
	uuid_format(&pack, id);
	return BROKEN(c, "the record of pack %s is not what extents say", id);
}

static int run(struct check *c)
{
	int r = open_columns(c);

	while (r == 0 && c->columns[INODES].valid) {
		r = check_inode(c);
		if (r == 0)
			advance(&c->columns[INODES]);
	}
	for (int i = 0; i < N_COLUMNS && r == 0; i++)
		r = store_iterator_error(c->columns[i].it);
	if (r == 0)
		r = check_strays(c, UINT64_MAX);
	if (r == 0)
		r = check_links(c);
	return r == 0 ? check_packs(c) : r;
}

int account_check(
	struct node *node, uint32_t account, account_check_fn *visit, void *arg, char **ret_message)
{
	struct check c = {
		.node = node,
		.account = account,
		.visit = visit,
		.arg = arg,
		.ret_message = ret_message,
	};
	int r;

	map64_init(&c.places);
	account_packs_init(&c.packs);
	r = run(&c);
	for (int i = 0; i < N_COLUMNS; i++)
		store_iterator_free(c.columns[i].it);
	map64_done(&c.places);
	account_packs_done(&c.packs);
	free(c.links);
	return r;
}
