#define PY_SSIZE_T_CLEAN
#include "session_cursor.h"

#include "arguments.h"
#include "session_page.h"
#include "srvsvc_stub.h"
#include "unpicklable.h"

/* So many replies in a row that say "more" and hold nothing are a server gone wrong: a filter may
   leave pages empty ([MS-SRVS] 3.1.4.5 resumes first and filters then), but not for ever. A page
   covers dozens of sessions even at SMALLEST_PREFERRED_LENGTH, so that this is more of them than
   servers have, and it ends within seconds; who asks for less a page is told to ask for more. */
#define MAX_EMPTY_PAGES 500
#define STRING(number) STRING_OF(number)
#define STRING_OF(number) #number

/* Where the preferred maximum length starts to grow when not even one entry fits. */
#define SMALLEST_PREFERRED_LENGTH 4096u

/* What is asked. */
typedef struct {
    PyObject *backend;                /* owned */
    const netapi *api;                /* the backend's table; NULL: it is called with stubs */
    PyObject *server_name;            /* owned: str or None, for messages */
    PyObject *server, *client, *user; /* owned: UTF-16 as bytes, NULL where NULL is meant */
    const session_level *level;
    uint32_t preferred_length;
} session_query;

typedef struct {
    PyObject_HEAD
    session_query query;
    uint32_t resume_handle;
    /* The handle is watched as Brent's algorithm watches a sequence for a cycle: a handle seen
       before repeats a request made before, so the server will never come to an end. */
    uint32_t watched_handle, watch_steps, watch_limit;
    uint32_t empty_pages;
    bool done;
    bool repeats; /* the next call would repeat an earlier one */
    bool busy;    /* a thread is in next(); changed under the GIL or a critical section */
    unsigned long busy_thread;
} SessionCursor;

/* --- life --------------------------------------------------------------------------------- */

static void
query_clear(session_query *query)
{
    Py_CLEAR(query->backend);
    Py_CLEAR(query->server_name);
    Py_CLEAR(query->server);
    Py_CLEAR(query->client);
    Py_CLEAR(query->user);
}

static int
cursor_traverse(SessionCursor *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->query.backend);
    Py_VISIT(self->query.server_name); /* perhaps of a subclass of str, with references */
    return 0;
}

static int
cursor_clear(SessionCursor *self)
{
    self->done = true; /* what it would call is gone */
    self->query.api = NULL;
    Py_CLEAR(self->query.backend);
    Py_XSETREF(self->query.server_name, Py_NewRef(Py_None)); /* errors still pass it on */
    return 0;
}

static void
cursor_dealloc(SessionCursor *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    query_clear(&self->query);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* Fills in a query from arguments, which may run Python code (__index__); -1 with an exception
   set. The caller clears it, whatever happens. */
static int
query_from_arguments(session_query *query, PyObject *args, PyObject *kwargs)
{
    static char *keywords[]
        = {"backend", "server", "client", "user", "level", "preferred_length", NULL};
    PyObject *backend, *server, *client, *user, *level, *preferred_length;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOO:SessionCursor", keywords, &backend,
                                     &server, &client, &user, &level, &preferred_length)) {
        return -1;
    }
    query->backend = Py_NewRef(backend);
    query->server_name = Py_NewRef(server);
    return argument_backend(backend, &query->api) < 0
                || argument_name(server, "server", &query->server) < 0
                || argument_name(client, "client", &query->client) < 0
                || argument_name(user, "user", &query->user) < 0
                || argument_level(level, &query->level) < 0
                || argument_dword(preferred_length, "preferred_length", &query->preferred_length)
                       < 0
             ? -1
             : 0;
}

PyDoc_STRVAR(cursor_doc,
"SessionCursor(backend, server, client, user, level, preferred_length)\n--\n\n"
"An iterator of SessionPage: calls NetSessionEnum again while it answers ERROR_MORE_DATA.");

/* The cursor is made when all is there for it and tracked when it is whole: gc.get_objects()
   shows what is tracked to anybody, an argument's __index__ too. */
static PyObject *
cursor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    SessionCursor *self = NULL;
    session_query query = {.backend = NULL};
    if (query_from_arguments(&query, args, kwargs) == 0) {
        self = PyObject_GC_New(SessionCursor, type);
    }
    if (self == NULL) {
        query_clear(&query);
        return NULL;
    }
    self->query = query; /* with its references */
    self->resume_handle = 0;
    self->watched_handle = self->watch_steps = 0;
    self->watch_limit = 1;
    self->empty_pages = 0;
    self->done = self->repeats = self->busy = false;
    self->busy_thread = 0;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

/* --- one call ----------------------------------------------------------------------------- */

/* netapi32.dll or the simulator. What it leaves in `reply->entries` is ours to free. */
static void
call_netapi(SessionCursor *self, session_enum_reply *reply)
{
    uint32_t entries_read = 0;
    reply->level = self->query.level;
    reply->resume_handle = self->resume_handle;
    reply->has_resume_handle = true;
    Py_BEGIN_ALLOW_THREADS
    reply->status = self->query.api->session_enum(
        self->query.api->context, name_units(self->query.server), name_units(self->query.client),
        name_units(self->query.user), self->query.level->number, &reply->entries,
        self->query.preferred_length, &entries_read, &reply->total_entries, &reply->resume_handle);
    Py_END_ALLOW_THREADS
    reply->count = entries_read;
}

/* MS-SRVS over whatever the backend speaks: the reply's owner is its stub. */
static PyObject *
call_srvsvc(SessionCursor *self, const module_state *state, session_enum_reply *reply)
{
    PyObject *request = NULL, *answer = NULL, *stub = NULL;
    const srvsvc_enum_request arguments = {
        .server = name_units(self->query.server),
        .client = name_units(self->query.client),
        .user = name_units(self->query.user),
        .level = self->query.level->number,
        .preferred_length = self->query.preferred_length,
        .resume_handle = self->resume_handle,
        .has_resume_handle = true,
    };
    request = stub_encode_enum(&arguments);
    if (request == NULL) {
        goto done;
    }
    answer = PyObject_CallFunction(self->query.backend, "iO", OPNUM_SESSION_ENUM, request);
    if (answer == NULL) {
        goto done;
    }
    stub = stub_from_object(answer);
    if (stub != NULL && stub_decode_enum(state, stub, reply, self->query.server_name) < 0) {
        Py_CLEAR(stub);
    }
done:
    Py_XDECREF(request);
    Py_XDECREF(answer);
    return stub;
}

static bool
has_list(uint32_t status)
{
    return status == NET_SUCCESS || status == NET_MORE_DATA;
}

/* How far a call has got that brought a reply, for its error: natively nobody knows. */
static const char *
step_of(const SessionCursor *self)
{
    return self->query.api == NULL ? "call" : NULL;
}

/* What a reply with a list must be besides well-formed. Servers may leave out the container of
   an empty list, and illumos answers errors with level 0. */
static int
check_reply(const SessionCursor *self, const module_state *state, session_enum_reply *reply)
{
    srvsvc_error error = {.problem = NULL};
    if (reply->level == NULL) {
        reply->level = self->query.level;
    }
    if (reply->level != self->query.level) {
        error = (srvsvc_error){"Level", "it is not the level that was asked for", 0};
    }
    else if (reply->count > 0 && reply->entries == NULL) {
        error = (srvsvc_error){"Buffer", "entries are counted, but there is no buffer", 0};
    }
    else if (reply->count > (size_t)PY_SSIZE_T_MAX / reply->level->size) {
        error = (srvsvc_error){"EntriesRead", "more entries are counted than memory holds", 0};
    }
    if (error.problem == NULL) {
        return 0;
    }
    (void)raise_malformed(state, &error, "NetSessionEnum", self->query.server_name,
                          step_of(self));
    return -1;
}

/* One call, as a page. NULL with an exception set, or NULL without one where the preferred
   maximum length was too small and has been raised. */
static PyObject *
fetch_page(SessionCursor *self, module_state *state, session_enum_reply *reply)
{
    PyObject *page = NULL;
    PyObject *owner = NULL;
    *reply = (session_enum_reply){.level = NULL};
    if (self->query.api != NULL) {
        owner = Py_NewRef(self->query.backend);
        call_netapi(self, reply);
    }
    else {
        owner = call_srvsvc(self, state, reply);
        if (owner == NULL) {
            return NULL;
        }
    }
    if (reply->status == NET_BUF_TOO_SMALL
        && self->query.preferred_length != MAX_PREFERRED_LENGTH_ALL) {
        uint32_t length = self->query.preferred_length;
        self->query.preferred_length
            = length < SMALLEST_PREFERRED_LENGTH    ? SMALLEST_PREFERRED_LENGTH
            : length > MAX_PREFERRED_LENGTH_ALL / 2 ? MAX_PREFERRED_LENGTH_ALL
                                                    : length * 2;
    }
    else if (!has_list(reply->status)) {
        (void)raise_status(state, reply->status, "NetSessionEnum", self->query.server_name,
                           step_of(self));
    }
    else if (check_reply(self, state, reply) == 0) {
        page = session_page_new(state, reply, self->query.api, owner);
        reply->entries = NULL; /* the page's now */
    }
    session_entries_free(self->query.api, reply->entries);
    reply->entries = NULL;
    Py_DECREF(owner);
    return page;
}

/* --- paging ------------------------------------------------------------------------------- */

/* Takes over the reply's resume handle; true where the handle was seen before. */
static bool
handle_repeats(SessionCursor *self, const session_enum_reply *reply)
{
    uint32_t handle = reply->has_resume_handle ? reply->resume_handle : 0;
    bool repeats = handle == self->watched_handle || handle == self->resume_handle;
    if (++self->watch_steps == self->watch_limit) {
        self->watched_handle = handle;
        self->watch_steps = 0;
        self->watch_limit *= 2;
    }
    self->resume_handle = handle;
    return repeats;
}

static PyObject *
raise_stuck(const SessionCursor *self, const module_state *state)
{
    return raise_no_progress(
        state, "NetSessionEnum", self->query.server_name, step_of(self),
        self->empty_pages > MAX_EMPTY_PAGES
            ? "The server says that there is more, but sent more than " STRING(
                MAX_EMPTY_PAGES) " replies in a row without an entry"
            : "The server says that there is more, but does not move on");
}

/* What follows from a page's status: the end, or where the next call starts. -1 with an
   exception set where there is neither an entry nor a way on. */
static int
advance(SessionCursor *self, const module_state *state, const session_enum_reply *reply)
{
    if (reply->status != NET_MORE_DATA) { /* the status decides, never handle or total */
        self->done = true;
        return 0;
    }
    self->empty_pages = reply->count == 0 ? self->empty_pages + 1 : 0;
    self->repeats = handle_repeats(self, reply);
    if (self->empty_pages > MAX_EMPTY_PAGES || (self->repeats && reply->count == 0)) {
        (void)raise_stuck(self, state);
        return -1;
    }
    return 0;
}

static PyObject *
next_page(SessionCursor *self)
{
    module_state *state = state_of((PyObject *)self);
    session_enum_reply reply;
    PyObject *page = NULL;
    if (self->repeats) {
        return raise_stuck(self, state);
    }
    while (page == NULL) {
        if (PyErr_CheckSignals() < 0) {
            return NULL;
        }
        page = fetch_page(self, state, &reply);
        if (page == NULL && PyErr_Occurred()) {
            return NULL;
        }
    }
    if (advance(self, state, &reply) < 0) {
        Py_CLEAR(page);
    }
    return page;
}

/* Only one thread at a time may be in next_page(), which releases the GIL and runs Python code:
   false, with an exception set, where one is. */
static bool
cursor_enter(SessionCursor *self)
{
    unsigned long thread = PyThread_get_thread_ident();
    bool entered, here;
    Py_BEGIN_CRITICAL_SECTION(self);
    entered = !self->busy;
    here = self->busy_thread == thread;
    if (entered) {
        self->busy = true;
        self->busy_thread = thread;
    }
    Py_END_CRITICAL_SECTION();
    if (!entered) {
        PyErr_SetString(PyExc_RuntimeError,
                        here ? "this SessionCursor is already fetching a page in this thread: its "
                               "backend, a signal handler or a finalizer asked for another one"
                             : "this SessionCursor is already fetching a page in another thread");
    }
    return entered;
}

static void
cursor_leave(SessionCursor *self)
{
    Py_BEGIN_CRITICAL_SECTION(self);
    self->busy = false;
    Py_END_CRITICAL_SECTION();
}

static PyObject *
cursor_next(SessionCursor *self)
{
    if (!cursor_enter(self)) {
        return NULL;
    }
    PyObject *page = NULL;
    if (!self->done) {
        page = next_page(self);
        self->done = self->done || page == NULL; /* after an error the resume handle is void */
    }
    cursor_leave(self);
    return page;
}

static PyObject *
cursor_get_level(SessionCursor *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLong(self->query.level->number);
}

static PyMethodDef cursor_methods[] = {
    UNPICKLABLE_METHOD,
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef cursor_getset[] = {
    {"level", (getter)cursor_get_level, NULL, "The information level asked for (int).", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot cursor_slots[] = {
    {Py_tp_doc, (void *)cursor_doc}, {Py_tp_new, cursor_new},
    {Py_tp_dealloc, cursor_dealloc}, {Py_tp_traverse, cursor_traverse},
    {Py_tp_clear, cursor_clear},     {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, cursor_next},   {Py_tp_methods, cursor_methods},
    {Py_tp_getset, cursor_getset},   {0, NULL},
};

PyType_Spec session_cursor_spec = {
    .name = "netsession._netsession.SessionCursor",
    .basicsize = sizeof(SessionCursor),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = cursor_slots,
};
