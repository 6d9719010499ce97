#define PY_SSIZE_T_CLEAN
#include "arrow_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "arrow_batch.h"
#include "arrow_fleet.h"
#include "atomic_number.h"
#include "interpreter_visit.h"
#include "session_page.h"

#define SCHEMA_CAPSULE "arrow_schema"
#define ARRAY_CAPSULE "arrow_array"
#define STREAM_CAPSULE "arrow_array_stream"

/* --- capsules ----------------------------------------------------------------------------- */

/* Their destructors: a consumer that took a structure over has left its release NULL. */
#define CAPSULE_DESTRUCTOR(function, structure, name) \
    static void function(PyObject *capsule) \
    { \
        structure *content = PyCapsule_GetPointer(capsule, name); \
        if (content != NULL && content->release != NULL) { \
            content->release(content); \
        } \
        free(content); \
    }

CAPSULE_DESTRUCTOR(free_schema_capsule, struct ArrowSchema, SCHEMA_CAPSULE)
CAPSULE_DESTRUCTOR(free_array_capsule, struct ArrowArray, ARRAY_CAPSULE)
CAPSULE_DESTRUCTOR(free_stream_capsule, struct ArrowArrayStream, STREAM_CAPSULE)

/* A capsule with `size` bytes for a structure, zeroed and so released. Whoever fills them in does
   so with the capsule as owner: no failure afterwards can leak. */
static PyObject *
new_capsule(size_t size, const char *name, PyCapsule_Destructor end, void **content)
{
    *content = calloc(1, size);
    if (*content == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *capsule = PyCapsule_New(*content, name, end);
    if (capsule == NULL) {
        free(*content);
    }
    return capsule;
}

/* --- errors ------------------------------------------------------------------------------- */

static const char *
batch_problem(int error)
{
    return error == EOVERFLOW
             ? "one string alone is above 2 GiB, which utf8 cannot tell; __arrow_c_array__() of "
               "its page gives it as large_utf8"
             : "out of memory";
}

/* --- schema and array --------------------------------------------------------------------- */

/* The columns without rows. Here as in streams, a level of NULL is for a fleet's. */
static int
fill_schema(const session_level *level, bool large, struct ArrowSchema *out)
{
    arrow_table table;
    if (level == NULL) {
        arrow_fleet_table(NULL, NULL, NULL, &table);
    }
    else {
        arrow_level_table(level, NULL, &table);
    }
    return arrow_table_schema(&table, large, out);
}

static PyObject *
schema_capsule(const session_level *level, bool large)
{
    void *schema = NULL;
    PyObject *capsule
        = new_capsule(sizeof(struct ArrowSchema), SCHEMA_CAPSULE, free_schema_capsule, &schema);
    if (capsule != NULL && fill_schema(level, large, schema) != 0) {
        Py_DECREF(capsule);
        return PyErr_NoMemory();
    }
    return capsule;
}

/* "... must be a struct of ..." */
static void
raise_other_columns(const session_level *level)
{
    if (level == NULL) {
        PyErr_Format(PyExc_ValueError,
                     "requested_schema must be a struct of the %d columns of a fleet",
                     ARROW_COLUMNS);
    }
    else {
        PyErr_Format(PyExc_ValueError,
                     "requested_schema must be a struct of the %d fields of level %lu",
                     level->field_count, (unsigned long)level->number);
    }
}

/* The data has one representation only, so that a request for others is not followed, as the
   protocol allows. What cannot be the same data is refused: -1 with an exception set. */
static int
check_requested_schema(const session_level *level, PyObject *requested)
{
    if (requested == Py_None) {
        return 0;
    }
    if (!PyCapsule_IsValid(requested, SCHEMA_CAPSULE)) {
        PyErr_SetString(PyExc_TypeError,
                        "requested_schema must be None or a capsule named '" SCHEMA_CAPSULE "'");
        return -1;
    }
    const struct ArrowSchema *schema = PyCapsule_GetPointer(requested, SCHEMA_CAPSULE);
    if (schema->release == NULL) {
        PyErr_SetString(PyExc_ValueError, "requested_schema is released already");
        return -1;
    }
    int columns = level == NULL ? ARROW_COLUMNS : level->field_count;
    if (strcmp(schema->format, "+s") != 0 || schema->n_children != columns) {
        raise_other_columns(level);
        return -1;
    }
    return 0;
}

/* The capsules of schema and batch, as a tuple; the batch is made without the GIL, while the
   caller's reference keeps the page. */
static PyObject *
array_capsules(SessionPage *page, PyObject *requested_schema, size_t text_limit)
{
    PyObject *schema = NULL, *array = NULL, *both = NULL;
    void *content = NULL;
    arrow_table table;
    bool large = false;
    int error;
    if (check_requested_schema(page->level, requested_schema) < 0) {
        return NULL;
    }
    array = new_capsule(sizeof(struct ArrowArray), ARRAY_CAPSULE, free_array_capsule, &content);
    if (array == NULL) {
        return NULL;
    }
    arrow_level_table(page->level, page->entries, &table);
    Py_BEGIN_ALLOW_THREADS
    error = arrow_table_batch(&table, (size_t)page->length, text_limit, content, &large);
    Py_END_ALLOW_THREADS
    if (error == 0) {
        schema = schema_capsule(page->level, large);
        both = schema == NULL ? NULL : PyTuple_Pack(2, schema, array);
    }
    else {
        (void)PyErr_NoMemory();
    }
    Py_XDECREF(schema);
    Py_DECREF(array);
    return both;
}

/* --- stream ------------------------------------------------------------------------------- */

/* Whether a callback is at work. One at a time, says the interface; but what is asked for the next
   page runs code of others, which may come back here. */
enum {
    STREAM_IDLE,
    STREAM_BUSY,
    STREAM_LET_GO, /* released while it was busy: who is at work frees it */
};

/* What a stream owns. */
typedef struct {
    atomic_number use;
    interpreter_life *interpreter; /* owned: of its objects */
    const session_level *level;    /* of all pages; NULL: the items are parts of a fleet */
    PyTypeObject *page_type;       /* owned */
    PyObject *first;               /* owned: the item before those of `items`, or NULL */
    PyObject *items;               /* owned: an iterator; NULL at the end */
    fleet_part part;               /* of which rows are still to come, or none */
    size_t next_row;               /* in its page */
    size_t text_limit;             /* bytes of text that a column of a batch may have */
    int error;                     /* errno value of the failure; 0 as long as there is none */
    char *message; /* malloc(): of that failure, UTF-8; NULL where there was no room */
} session_stream;

static int
fail(session_stream *stream, int error, const char *message)
{
    size_t size = strlen(message) + 1;
    stream->error = error;
    stream->message = malloc(size);
    if (stream->message != NULL) {
        memcpy(stream->message, message, size);
    }
    return error;
}

/* The errno value that tells a consumer most of the pending exception. */
static int
errno_of_exception(void)
{
    return PyErr_ExceptionMatches(PyExc_MemoryError)     ? ENOMEM
         : PyErr_ExceptionMatches(PyExc_PermissionError) ? EACCES
         : PyErr_ExceptionMatches(PyExc_TimeoutError)    ? ETIMEDOUT
                                                         : EIO;
}

/* "AccessDenied: what its message says", as bytes; NULL with an exception set. */
static PyObject *
exception_text(PyObject *type, PyObject *value)
{
    PyObject *text = PyUnicode_FromFormat("%s: %S", ((PyTypeObject *)type)->tp_name, value);
    PyObject *bytes
        = text == NULL ? NULL : PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    Py_XDECREF(text);
    return bytes;
}

/* The pending exception becomes the stream's error. */
static int
fail_with_exception(session_stream *stream)
{
    PyObject *type, *value, *traceback;
    bool interrupted = PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
    int error = interrupted ? EINTR : errno_of_exception();
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    PyObject *text = exception_text(type, value);
    PyErr_Clear(); /* an exception whose text cannot be had */
    (void)fail(stream, error,
               text == NULL ? ((PyTypeObject *)type)->tp_name : PyBytes_AS_STRING(text));
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    if (interrupted) {
        PyErr_SetInterrupt(); /* once more for the consumer's caller, who would not see it */
    }
    return error;
}

/* What is to come next: a new reference, or NULL at the end, or with an exception set. */
static PyObject *
next_item(session_stream *stream)
{
    PyObject *item = stream->first;
    stream->first = NULL;
    return item == NULL && stream->items != NULL ? PyIter_Next(stream->items) : item;
}

/* The item becomes the part whose rows come next; -1 with an exception set. */
static int
take_item(session_stream *stream, PyObject *item)
{
    stream->next_row = 0;
    if (stream->level == NULL) {
        return fleet_part_read(item, stream->page_type, &stream->part);
    }
    if (!Py_IS_TYPE(item, stream->page_type) || ((SessionPage *)item)->level != stream->level) {
        PyErr_Format(PyExc_TypeError, "pages must be SessionPage objects of level %lu, not %R",
                     (unsigned long)stream->level->number, item);
        return -1;
    }
    stream->part.page = Py_NewRef(item);
    return 0;
}

/* Whether a fleet's part can be passed over. A level's page cannot, since a batch may be what tells
   a consumer the schema. */
static bool
is_empty_part(const session_stream *stream)
{
    return stream->level == NULL && ((SessionPage *)stream->part.page)->length == 0;
}

/* Makes sure that there is a part with rows to come. Without one at the end, or with an exception
   set. */
static void
find_part(session_stream *stream)
{
    while (stream->part.page == NULL) {
        PyObject *item = next_item(stream);
        int taken = item == NULL ? -1 : take_item(stream, item);
        Py_XDECREF(item);
        if (taken < 0) {
            Py_CLEAR(stream->items);
            return;
        }
        if (is_empty_part(stream)) {
            fleet_part_clear(&stream->part);
            if (PyErr_CheckSignals() < 0) { /* as no Python code may run between empty pages */
                return;
            }
        }
    }
}

/* The part's rows that are still to come, with the origin that they refer to. Returns how many. */
static size_t
rows_to_come(const session_stream *stream, fleet_origin *origin, arrow_table *table)
{
    const SessionPage *page = (const SessionPage *)stream->part.page;
    const unsigned char *entries
        = page->entries == NULL ? NULL : page->entries + stream->next_row * page->level->size;
    if (stream->level == NULL) {
        *origin = (fleet_origin){
            .server = name_units(stream->part.server),
            .collected_at = stream->part.collected_at,
            .level = (uint16_t)page->level->number,
        };
        arrow_fleet_table(origin, page->level, entries, table);
    }
    else {
        arrow_level_table(page->level, entries, table);
    }
    return (size_t)page->length - stream->next_row;
}

/* get_next() inside the interpreter: the part's next rows, mostly all of them. The batch is made
   without the GIL; the stream's reference keeps the page. */
static int
next_batch(session_stream *stream, struct ArrowArray *out)
{
    size_t taken = 0;
    fleet_origin origin;
    arrow_table table;
    int error;
    find_part(stream);
    if (stream->part.page == NULL) {
        return PyErr_Occurred() ? fail_with_exception(stream) : 0;
    }
    size_t left = rows_to_come(stream, &origin, &table);
    Py_BEGIN_ALLOW_THREADS
    error = arrow_table_rows(&table, left, stream->text_limit, out, &taken);
    Py_END_ALLOW_THREADS
    stream->next_row += taken;
    if (error != 0 || taken == left) {
        fleet_part_clear(&stream->part); /* the page's buffer goes when nobody else needs it */
    }
    return error == 0 ? 0 : fail(stream, error, batch_problem(error));
}

/* get_next() of a stream that nobody else uses. */
static int
next_or_failure(session_stream *stream, struct ArrowArray *out)
{
    interpreter_visit visit;
    if (stream->error != 0) {
        return stream->error; /* a failed stream must not look like one at its end */
    }
    if (!enter_interpreter(stream->interpreter, &visit)) {
        return fail(stream, EIO, "the Python interpreter that asks for the sessions has ended");
    }
    int error = next_batch(stream, out);
    leave_interpreter(&visit);
    return error;
}

static void
free_stream(session_stream *stream)
{
    interpreter_visit visit;
    if (enter_interpreter(stream->interpreter, &visit)) {
        Py_CLEAR(stream->first);
        Py_CLEAR(stream->items);
        fleet_part_clear(&stream->part);
        Py_CLEAR(stream->page_type);
        leave_interpreter(&visit);
    } /* otherwise its objects ended, or will end, with their interpreter */
    interpreter_life_drop(stream->interpreter);
    free(stream->message);
    free(stream);
}

/* After STREAM_BUSY was set here. Whether there is a stream yet: it is freed where it was released
   meanwhile. */
static bool
leave_stream(session_stream *stream)
{
    if (atomic_number_exchange(&stream->use, STREAM_IDLE) != STREAM_LET_GO) {
        return true;
    }
    free_stream(stream);
    return false;
}

static int
stream_get_next(struct ArrowArrayStream *self, struct ArrowArray *out)
{
    session_stream *stream = self->private_data;
    *out = (struct ArrowArray){.release = NULL}; /* so it stays at the end */
    if (!atomic_number_replace(&stream->use, STREAM_IDLE, STREAM_BUSY)) {
        return EBUSY;
    }
    int error = next_or_failure(stream, out);
    return leave_stream(stream) ? error : 0; /* of one released nobody can ask for the error */
}

static int
stream_get_schema(struct ArrowArrayStream *self, struct ArrowSchema *out)
{
    const session_stream *stream = self->private_data;
    *out = (struct ArrowSchema){.release = NULL};
    return fill_schema(stream->level, false, out);
}

static const char *
stream_get_last_error(struct ArrowArrayStream *self)
{
    session_stream *stream = self->private_data;
    /* Busy itself: who asked for a batch at this moment would write the message that is read. */
    if (!atomic_number_replace(&stream->use, STREAM_IDLE, STREAM_BUSY)) {
        return "the stream is in use: whoever asked it for a batch has not got it yet";
    }
    const char *message = stream->message; /* set once, and there until the stream is freed */
    return leave_stream(stream) ? message : "the stream is released";
}

static void
stream_release(struct ArrowArrayStream *self)
{
    session_stream *stream = self->private_data;
    self->release = NULL;
    if (atomic_number_exchange(&stream->use, STREAM_LET_GO) == STREAM_IDLE) {
        free_stream(stream);
    }
}

/* Fills in a stream that owns references of its own; 0, or -1 with an exception set. */
static int
open_stream(struct ArrowArrayStream *self, const module_state *state, const session_level *level,
            PyObject *first, PyObject *items, size_t text_limit)
{
    session_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        (void)PyErr_NoMemory();
        return -1;
    }
    *stream = (session_stream){
        .interpreter = interpreter_life_share(state->interpreter),
        .level = level,
        .page_type = (PyTypeObject *)Py_NewRef((PyObject *)state->page_type),
        .first = Py_XNewRef(first),
        .items = Py_XNewRef(items),
        .text_limit = text_limit,
    };
    atomic_number_init(&stream->use, STREAM_IDLE);
    *self = (struct ArrowArrayStream){
        .get_schema = stream_get_schema,
        .get_next = stream_get_next,
        .get_last_error = stream_get_last_error,
        .release = stream_release,
        .private_data = stream,
    };
    return 0;
}

/* A capsule with a stream of `first`, an item or NULL, then what the iterator `items` yields, which
   may be NULL too: pages of the level or, where that is NULL, parts of a fleet. */
static PyObject *
stream_capsule(const module_state *state, const session_level *level, PyObject *first,
               PyObject *items, PyObject *requested_schema, size_t text_limit)
{
    void *stream = NULL;
#if PY_VERSION_HEX < 0x030C0000
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Arrow streams in sub-interpreters need Python 3.12 or newer");
        return NULL;
    }
#endif
    if (check_requested_schema(level, requested_schema) < 0) {
        return NULL;
    }
    PyObject *capsule = new_capsule(sizeof(struct ArrowArrayStream), STREAM_CAPSULE,
                                    free_stream_capsule, &stream);
    if (capsule != NULL && open_stream(stream, state, level, first, items, text_limit) < 0) {
        Py_CLEAR(capsule);
    }
    return capsule;
}

/* --- what Python calls -------------------------------------------------------------------- */

#define REPRESENTATION \
    "Names and texts are utf8 (a lone surrogate becomes U+FFFD), num_opens and user_flags\n" \
    "uint32, active_time and idle_time duration[s]. Null is a NULL pointer, and 0xFFFFFFFF in\n" \
    "what lasts: the server did not know. The schema's metadata, and each field's,\n" \
    "tell the level as b'netsession.level'. requested_schema (a capsule or None) is checked " \
    "for\n" \
    "its number of fields (ValueError) and not followed otherwise: consumers cast.\n" \
    "Text above 2 GiB in one field of one page makes several batches of a stream, and " \
    "large_utf8\n" \
    "in an array; one string that is so long fails a stream (EOVERFLOW)."

const char arrow_page_schema_doc[]
    = "__arrow_c_schema__($self, /)\n--\n\n"
      "The Arrow schema of the page's level, as a capsule \"arrow_schema\".";

PyObject *
arrow_page_schema(PyObject *page, PyObject *Py_UNUSED(ignored))
{
    return schema_capsule(((SessionPage *)page)->level, false);
}

static char *requested_schema_keyword[] = {"requested_schema", NULL};

const char arrow_page_array_doc[] = "__arrow_c_array__($self, /, requested_schema=None)\n--\n\n"
                                    "The page as one Arrow record batch: capsules "
                                    "\"arrow_schema\" and \"arrow_array\".\n\n" REPRESENTATION;

PyObject *
arrow_page_array(PyObject *page, PyObject *args, PyObject *kwargs)
{
    PyObject *requested_schema = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:__arrow_c_array__",
                                     requested_schema_keyword, &requested_schema)) {
        return NULL;
    }
    return array_capsules((SessionPage *)page, requested_schema, ARROW_TEXT_LIMIT);
}

const char arrow_page_stream_doc[] = "__arrow_c_stream__($self, /, requested_schema=None)\n--\n\n"
                                     "The page as an Arrow stream of one record batch: a capsule "
                                     "\"arrow_array_stream\".\n\n" REPRESENTATION;

PyObject *
arrow_page_stream(PyObject *page, PyObject *args, PyObject *kwargs)
{
    PyObject *requested_schema = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:__arrow_c_stream__",
                                     requested_schema_keyword, &requested_schema)) {
        return NULL;
    }
    return stream_capsule(state_of(page), ((SessionPage *)page)->level, page, NULL,
                          requested_schema, ARROW_TEXT_LIMIT);
}

const char arrow_schema_doc[] = "arrow_schema($module, level, /)\n--\n\n"
                                "The Arrow schema of a level, as a capsule \"arrow_schema\".";

PyObject *
arrow_schema(PyObject *Py_UNUSED(module), PyObject *level)
{
    const session_level *row = NULL;
    return argument_level(level, &row) < 0 ? NULL : schema_capsule(row, false);
}

/* A limit of text that tests lower, so that none of them needs 2 GiB. */
static int
argument_text_limit(PyObject *value, size_t *limit)
{
    uint32_t bytes = 0;
    *limit = ARROW_TEXT_LIMIT;
    if (value == NULL) {
        return 0;
    }
    if (argument_dword(value, "text_limit", &bytes) < 0) {
        return -1;
    }
    *limit = bytes < ARROW_TEXT_LIMIT ? bytes : ARROW_TEXT_LIMIT;
    return 0;
}

static int
argument_iterator(PyObject *value, const char *argument)
{
    if (!PyIter_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be an iterator, not %.200s", argument,
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    return 0;
}

const char arrow_array_doc[]
    = "arrow_array($module, page, text_limit, /)\n--\n\n"
      "What the page's __arrow_c_array__() is where text_limit bytes take the place of 2 GiB.";

PyObject *
arrow_array(PyObject *module, PyObject *args)
{
    const module_state *state = PyModule_GetState(module);
    PyObject *page, *limit;
    size_t text_limit;
    if (!PyArg_ParseTuple(args, "O!O:arrow_array", state->page_type, &page, &limit)
        || argument_text_limit(limit, &text_limit) < 0) {
        return NULL;
    }
    return array_capsules((SessionPage *)page, Py_None, text_limit);
}

const char arrow_stream_doc[]
    = "arrow_stream($module, /, level, first, pages, requested_schema=None,\n"
      "             text_limit=0x7FFFFFFF)\n--\n\n"
      "An Arrow stream of pages of one level, a record batch a page: first, a SessionPage or\n"
      "None, then those of the iterator pages, each asked for when the consumer asks for a\n"
      "batch. What pages raises is the stream's error, with its class and message. A page with\n"
      "more than text_limit bytes of text in a field becomes several batches.\n\n" REPRESENTATION;

PyObject *
arrow_stream(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"level", "first", "pages", "requested_schema", "text_limit", NULL};
    PyObject *level, *first, *pages, *requested_schema = Py_None, *limit = NULL;
    const session_level *row = NULL;
    size_t text_limit;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|OO:arrow_stream", keywords, &level, &first,
                                     &pages, &requested_schema, &limit)
        || argument_level(level, &row) < 0 || argument_text_limit(limit, &text_limit) < 0) {
        return NULL;
    }
    if (argument_iterator(pages, "pages") < 0) {
        return NULL;
    }
    return stream_capsule(PyModule_GetState(module), row, first == Py_None ? NULL : first, pages,
                          requested_schema, text_limit);
}

const char arrow_fleet_schema_doc[]
    = "arrow_fleet_schema($module, /)\n--\n\n"
      "The Arrow schema of arrow_fleet_stream(), as a capsule \"arrow_schema\".";

PyObject *
arrow_fleet_schema(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return schema_capsule(NULL, false);
}

const char arrow_fleet_stream_doc[]
    = "arrow_fleet_stream($module, /, parts, requested_schema=None, text_limit=0x7FFFFFFF)\n--\n\n"
      "An Arrow stream of what several servers said, whatever the levels, with one schema:\n"
      "server (utf8, never null), collected_at (timestamp[us, UTC], never null), the fields of\n"
      "level 502, null where a page's level lacks them, and level (uint16, never null). parts is\n"
      "an iterator of (server, collected_at, page): str, int microseconds since 1970 in UTC, and\n"
      "SessionPage. Each part is asked for when the consumer asks for a batch; pages without\n"
      "entries make none. What parts raises is the stream's error, with its class and message, "
      "as\n"
      "are TypeError and ValueError for what is no part. A page with more than text_limit bytes\n"
      "of text in a column becomes several batches. The fields are as in a page's stream; the\n"
      "schema has no metadata.";

PyObject *
arrow_fleet_stream(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"parts", "requested_schema", "text_limit", NULL};
    PyObject *parts, *requested_schema = Py_None, *limit = NULL;
    size_t text_limit;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO:arrow_fleet_stream", keywords, &parts,
                                     &requested_schema, &limit)
        || argument_text_limit(limit, &text_limit) < 0 || argument_iterator(parts, "parts") < 0) {
        return NULL;
    }
    return stream_capsule(PyModule_GetState(module), NULL, NULL, parts, requested_schema,
                          text_limit);
}
