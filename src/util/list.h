/*
 * list.h: an intrusive, circular, doubly linked list. Embed a struct list_node in the element.
 */
#ifndef MAILFS_UTIL_LIST_H
#define MAILFS_UTIL_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
	struct list_node *next, *previous;
};

#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list_node *head)
{
	head->next = head->previous = head;
}

static inline bool list_is_empty(const struct list_node *head)
{
	return head->next == head;
}

static inline void list_insert_between(
	struct list_node *node, struct list_node *previous, struct list_node *next)
{
	node->previous = previous;
	node->next = next;
	previous->next = node;
	next->previous = node;
}

static inline void list_append(struct list_node *head, struct list_node *node)
{
	list_insert_between(node, head->previous, head);
}

static inline void list_prepend(struct list_node *head, struct list_node *node)
{
	list_insert_between(node, head, head->next);
}

static inline void list_remove(struct list_node *node)
{
	node->previous->next = node->next;
	node->next->previous = node->previous;
	list_init(node);
}

/* The first node, removed, or NULL. */
static inline struct list_node *list_take_first(struct list_node *head)
{
	struct list_node *first = head->next;

	if (first == head)
		return NULL;
	list_remove(first);
	return first;
}

/* Moves all nodes of `from` behind those of `head`; `from` is empty afterwards. */
static inline void list_splice(struct list_node *head, struct list_node *from)
{
	if (list_is_empty(from))
		return;
	from->next->previous = head->previous;
	head->previous->next = from->next;
	from->previous->next = head;
	head->previous = from->previous;
	list_init(from);
}

#endif
