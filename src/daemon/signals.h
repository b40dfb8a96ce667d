/*
 * signals.h: SIGTERM and SIGINT mean "finish and leave", however often they come.
 *
 * The daemon's threads never see them: they are blocked before the first thread starts and let in
 * again only in the thread that serves the mount. Until then, while the mount is being prepared,
 * which may take as long as a store that is slow or silent lets it, they end the process at once:
 * that is as safe as a SIGKILL, and nothing has been served.
 */
#ifndef MAILFS_DAEMON_SIGNALS_H
#define MAILFS_DAEMON_SIGNALS_H

struct session;

/* Blocks SIGTERM and SIGINT here and in threads to come; ignores SIGHUP and SIGPIPE. */
void signals_block(void);

/* From now on, until signals_leave_start(), SIGTERM and SIGINT end the process. In a thread;
 * without one (-errno) they wait. */
int signals_enter_start(void);
void signals_leave_start(void);

/* From now on SIGTERM and SIGINT make session_run() in this thread return, and SIGHUP has its
 * on_hangup called. */
void signals_end_session(struct session *session);

/* From now on they do nothing; the session may be freed. */
void signals_forget_session(void);

#endif
