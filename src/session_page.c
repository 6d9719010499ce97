#define PY_SSIZE_T_CLEAN
#include "session_page.h"

#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "arrow_stream.h"
#include "page_pickle.h"
#include "session_filter.h"
#include "unpicklable.h"

/* --- life --------------------------------------------------------------------------------- */

void
session_entries_free(const netapi *api, unsigned char *entries)
{
    if (entries == NULL) {
        return;
    }
    if (api != NULL) {
        (void)api->buffer_free(api->context, entries);
    }
    else {
        free(entries);
    }
}

PyObject *
session_page_new(module_state *state, const session_enum_reply *reply, const netapi *api,
                 PyObject *owner)
{
    SessionPage *page = PyObject_GC_New(SessionPage, state->page_type);
    if (page == NULL) {
        session_entries_free(api, reply->entries);
        return NULL;
    }
    page->level = reply->level;
    page->record_type = (PyTypeObject *)Py_NewRef(
        (PyObject *)state->record_types[session_level_index(reply->level)]);
    page->entries = reply->entries;
    page->length = (Py_ssize_t)reply->count;
    page->api = api;
    page->owner = Py_NewRef(owner);
    page->status = reply->status;
    page->total_entries = reply->total_entries;
    page->resume_handle = reply->resume_handle;
    page->has_resume_handle = reply->has_resume_handle;
    page->derived = false;
    PyObject_GC_Track(page);
    return (PyObject *)page;
}

static int
page_traverse(SessionPage *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->record_type);
    Py_VISIT(self->owner);
    return 0;
}

static void
page_dealloc(SessionPage *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    session_entries_free(self->api, self->entries); /* before the owner, which may hold the api */
    Py_CLEAR(self->owner);
    Py_CLEAR(self->record_type);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* --- sequence ----------------------------------------------------------------------------- */

static Py_ssize_t
page_length(SessionPage *self)
{
    return self->length;
}

static const unsigned char *
entry_at(const SessionPage *self, Py_ssize_t index)
{
    return self->entries + (size_t)index * self->level->size;
}

/* A record of a valid index; `cache` may be NULL. */
static PyObject *
page_record(SessionPage *self, Py_ssize_t index, string_cache *cache)
{
    return session_info_record(self->level, self->record_type, entry_at(self, index), cache);
}

static PyObject *
page_item(SessionPage *self, Py_ssize_t index)
{
    if (index < 0 || index >= self->length) {
        PyErr_SetString(PyExc_IndexError, "SessionPage index out of range");
        return NULL;
    }
    return page_record(self, index, NULL);
}

/* A page made from this page's entries: its own array of structures, whose strings stay where they
   are and are kept alive. `entries` is taken over. */
static PyObject *
page_of_entries(SessionPage *self, const session_level *level, unsigned char *entries,
                Py_ssize_t count)
{
    session_enum_reply reply = {
        .level = level,
        .entries = entries,
        .count = (size_t)count,
        .status = self->status,
        .total_entries = self->total_entries,
        .resume_handle = self->resume_handle,
        .has_resume_handle = self->has_resume_handle,
    };
    /* The strings lie in the stub, or in the buffer of the page that has an api: never in a page
       that was derived, so that a slice of a slice keeps no chain of pages alive. */
    PyObject *owner = self->api == NULL ? self->owner : (PyObject *)self;
    PyObject *page = session_page_new(state_of((PyObject *)self), &reply, NULL, owner);
    if (page != NULL) {
        ((SessionPage *)page)->derived = true;
    }
    return page;
}

/* Room for `count` structures; not NULL for 0, so that NULL is always a failure. */
static unsigned char *
allocate_entries(const session_level *level, Py_ssize_t count)
{
    unsigned char *entries = malloc((size_t)(count > 0 ? count : 1) * level->size);
    if (entries == NULL) {
        (void)PyErr_NoMemory();
    }
    return entries;
}

static PyObject *
page_slice(SessionPage *self, PyObject *slice)
{
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(slice, &start, &stop, &step) < 0) {
        return NULL;
    }
    Py_ssize_t count = PySlice_AdjustIndices(self->length, &start, &stop, step);
    unsigned char *entries = allocate_entries(self->level, count);
    if (entries == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        memcpy(entries + (size_t)i * self->level->size, entry_at(self, start + i * step),
               self->level->size);
    }
    return page_of_entries(self, self->level, entries, count);
}

static PyObject *
page_subscript(SessionPage *self, PyObject *key)
{
    if (PySlice_Check(key)) {
        return page_slice(self, key);
    }
    if (!PyIndex_Check(key)) {
        PyErr_Format(PyExc_TypeError, "SessionPage indices must be integers or slices, not %.200s",
                     Py_TYPE(key)->tp_name);
        return NULL;
    }
    Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (index == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return page_item(self, index < 0 ? index + self->length : index);
}

/* --- methods ------------------------------------------------------------------------------ */

PyDoc_STRVAR(page_filter_doc,
"filter($self, predicate, /)\n--\n\n"
"A SessionPage of the entries for whose record ``predicate(record)`` is true.");

/* Copies the entries for whose record the predicate is true to `kept`, and returns how many; -1
   with an exception set. */
static Py_ssize_t
keep_by_calling(SessionPage *self, PyObject *predicate, unsigned char *kept)
{
    Py_ssize_t count = 0;
    for (Py_ssize_t i = 0; i < self->length; i++) {
        PyObject *record = page_record(self, i, NULL);
        PyObject *answer = record == NULL ? NULL : PyObject_CallOneArg(predicate, record);
        int keep = answer == NULL ? -1 : PyObject_IsTrue(answer);
        Py_XDECREF(record);
        Py_XDECREF(answer);
        if (keep < 0) {
            return -1;
        }
        if (keep) {
            memcpy(kept + (size_t)count++ * self->level->size, entry_at(self, i),
                   self->level->size);
        }
    }
    return count;
}

static PyObject *
page_filter(SessionPage *self, PyObject *predicate)
{
    PyTypeObject *compiled = state_of((PyObject *)self)->filter_type;
    unsigned char *entries = allocate_entries(self->level, self->length);
    if (entries == NULL) {
        return NULL;
    }
    Py_ssize_t count
        = Py_IS_TYPE(predicate, compiled)
            ? session_filter_keep(predicate, self->level, self->entries, self->length, entries)
            : keep_by_calling(self, predicate, entries);
    if (count < 0) {
        free(entries);
        return NULL;
    }
    unsigned char *fitted = realloc(entries, (size_t)(count > 0 ? count : 1) * self->level->size);
    return page_of_entries(self, self->level, fitted == NULL ? entries : fitted, count);
}

/* Copies one field of a structure to the same field of another level's. */
static void
copy_field(const session_field *to_field, unsigned char *to, const session_field *from_field,
           const unsigned char *from)
{
    size_t size = to_field->kind == FIELD_STRING ? sizeof(utf16_unit *) : sizeof(uint32_t);
    memcpy(to + to_field->offset, from + from_field->offset, size);
}

PyDoc_STRVAR(page_as_level_doc,
"as_level($self, level, /)\n--\n\n"
"A SessionPage of the same entries at a poorer level. ValueError if this one lacks its fields.");

static PyObject *
page_as_level(SessionPage *self, PyObject *number)
{
    const session_level *to = NULL;
    const session_field *sources[SESSION_FIELDS];
    if (argument_level(number, &to) < 0) {
        return NULL;
    }
    for (int i = 0; i < to->field_count; i++) {
        sources[i] = session_level_field(self->level, to->fields[i].id);
        if (sources[i] == NULL) {
            PyErr_Format(PyExc_ValueError, "level %lu lacks %s, which level %lu has",
                         (unsigned long)self->level->number, to->fields[i].name,
                         (unsigned long)to->number);
            return NULL;
        }
    }
    unsigned char *entries = allocate_entries(to, self->length);
    if (entries == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < self->length; i++) {
        for (int field = 0; field < to->field_count; field++) {
            copy_field(&to->fields[field], entries + (size_t)i * to->size, sources[field],
                       entry_at(self, i));
        }
    }
    return page_of_entries(self, to, entries, self->length);
}

PyDoc_STRVAR(page_as_dicts_doc,
"as_dicts($self, /)\n--\n\n"
"A new list with a dict for each entry, field names to values, as pywin32 gives them: each as it\n"
"was sent, a time that the server did not know is 0xFFFFFFFF. (record.as_dict() has None there.)");

static PyObject *
page_as_dicts(SessionPage *self, PyObject *Py_UNUSED(ignored))
{
    module_state *state = state_of((PyObject *)self);
    PyObject *names = state->field_names[session_level_index(self->level)];
    string_cache *cache = string_cache_new(self->length);
    PyObject *list = PyList_New(self->length);
    if (list != NULL) {
        PyObject_GC_UnTrack(list); /* until it is whole: making a dict may run the collector */
    }
    for (Py_ssize_t i = 0; list != NULL && i < self->length; i++) {
        PyObject *dict = session_info_dict(self->level, names, entry_at(self, i), cache);
        if (dict == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, i, dict);
        }
    }
    string_cache_free(cache);
    if (list != NULL) {
        PyObject_GC_Track(list);
    }
    return list;
}

/* The first index from `start` on and before `stop` at which the record equals `value`; -1 where
   there is none, -2 with an exception set. Comparing may run Python code, which cannot change a
   page; the caller's reference keeps it. */
static Py_ssize_t
find_record(SessionPage *self, PyObject *value, Py_ssize_t start, Py_ssize_t stop)
{
    for (Py_ssize_t i = start; i < stop; i++) {
        PyObject *record = page_record(self, i, NULL);
        int equal = record == NULL ? -1 : PyObject_RichCompareBool(record, value, Py_EQ);
        Py_XDECREF(record);
        if (equal != 0) {
            return equal < 0 ? -2 : i;
        }
    }
    return -1;
}

static int
page_contains(SessionPage *self, PyObject *value)
{
    Py_ssize_t index = find_record(self, value, 0, self->length);
    return index == -2 ? -1 : index >= 0;
}

PyDoc_STRVAR(page_index_doc,
"index($self, record, start=0, stop=None, /)\n--\n\n"
"The first index in [start, stop) at which a record equals this one; ValueError if none does.\n"
"Both mean what they mean in a slice.");

static PyObject *
page_index(SessionPage *self, PyObject *args)
{
    PyObject *value, *start = Py_None, *stop = Py_None;
    Py_ssize_t first, last, step;
    if (!PyArg_ParseTuple(args, "O|OO:index", &value, &start, &stop)) {
        return NULL;
    }
    PyObject *slice = PySlice_New(start, stop, Py_None);
    int unpacked = slice == NULL ? -1 : PySlice_Unpack(slice, &first, &last, &step);
    Py_XDECREF(slice);
    if (unpacked < 0) {
        return NULL;
    }
    (void)PySlice_AdjustIndices(self->length, &first, &last, step);
    Py_ssize_t index = find_record(self, value, first, last);
    if (index == -1) {
        PyErr_SetString(PyExc_ValueError, "the record is not in this SessionPage");
    }
    return index < 0 ? NULL : PyLong_FromSsize_t(index);
}

PyDoc_STRVAR(page_count_doc,
"count($self, record, /)\n--\n\n"
"How many of the page's records equal this one.");

static PyObject *
page_count(SessionPage *self, PyObject *value)
{
    Py_ssize_t count = 0;
    for (Py_ssize_t next = 0; next < self->length; count++) {
        Py_ssize_t index = find_record(self, value, next, self->length);
        if (index == -2) {
            return NULL;
        }
        if (index == -1) {
            break;
        }
        next = index + 1;
    }
    return PyLong_FromSsize_t(count);
}

/* Bytes of the strings of a buffer that no length is kept of; those that several entries share
   count as often as they are pointed to. */
static size_t
strings_size(const SessionPage *self)
{
    size_t units = 0;
    for (Py_ssize_t i = 0; i < self->length; i++) {
        for (int field = 0; field < self->level->field_count; field++) {
            if (self->level->fields[field].kind == FIELD_STRING) {
                const utf16_unit *string
                    = session_info_string(entry_at(self, i), &self->level->fields[field]);
                units += string == NULL ? 0 : utf16_length(string) + 1;
            }
        }
    }
    return units * sizeof(utf16_unit);
}

PyDoc_STRVAR(page_sizeof_doc,
"__sizeof__($self, /)\n--\n\n"
"Bytes in memory (int): the object, its structures and the strings that came with them. Of a\n"
"slice or a filtered page not the strings: those count where they came from.");

static PyObject *
page_sizeof(SessionPage *self, PyObject *Py_UNUSED(ignored))
{
    size_t size = sizeof(SessionPage) + (size_t)self->length * self->level->size;
    if (!self->derived && self->api == NULL && PyBytes_Check(self->owner)) {
        size += (size_t)PyBytes_GET_SIZE(self->owner); /* the reply, which nobody else needs */
    }
    else if (!self->derived) {
        size += strings_size(self);
    }
    return PyLong_FromSize_t(size);
}

PyDoc_STRVAR(page_class_getitem_doc,
"__class_getitem__($type, record, /)\n--\n\n"
"``SessionPage[SessionInfo1]``, for annotations: a page of records of that class.");

static PyObject *
page_repr(SessionPage *self)
{
    return PyUnicode_FromFormat("<SessionPage level=%lu entries=%zd total_entries=%lu more=%s>",
                                (unsigned long)self->level->number, self->length,
                                (unsigned long)self->total_entries,
                                self->status == NET_MORE_DATA ? "True" : "False");
}

static PyObject *
page_get_level(SessionPage *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLong(self->level->number);
}

static PyObject *
page_get_total_entries(SessionPage *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLong(self->total_entries);
}

static PyObject *
page_get_resume_handle(SessionPage *self, void *closure)
{
    (void)closure;
    if (!self->has_resume_handle) {
        Py_RETURN_NONE;
    }
    return PyLong_FromUnsignedLong(self->resume_handle);
}

static PyObject *
page_get_more(SessionPage *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(self->status == NET_MORE_DATA);
}

/* --- iterator ----------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    SessionPage *page;     /* owned; NULL once used up */
    string_cache *cache;   /* owned; may be NULL */
    Py_ssize_t next, step; /* an index, and 1 or -1 */
} SessionPageIterator;

/* The cache goes first: it refers to the page's strings. */
static void
iterator_drop_page(SessionPageIterator *self)
{
    string_cache_free(self->cache);
    self->cache = NULL;
    Py_CLEAR(self->page);
}

static PyObject *
new_iterator(SessionPage *self, Py_ssize_t first, Py_ssize_t step)
{
    module_state *state = state_of((PyObject *)self);
    SessionPageIterator *iterator
        = PyObject_GC_New(SessionPageIterator, state->page_iterator_type);
    if (iterator == NULL) {
        return NULL;
    }
    iterator->page = (SessionPage *)Py_NewRef((PyObject *)self);
    iterator->cache = string_cache_new(self->length);
    iterator->next = first;
    iterator->step = step;
    PyObject_GC_Track(iterator);
    return (PyObject *)iterator;
}

static PyObject *
page_iterate(SessionPage *self)
{
    return new_iterator(self, 0, 1);
}

PyDoc_STRVAR(page_reversed_doc,
"__reversed__($self, /)\n--\n\n"
"An iterator of the records from the last to the first.");

static PyObject *
page_reversed(SessionPage *self, PyObject *Py_UNUSED(ignored))
{
    return new_iterator(self, self->length - 1, -1);
}

/* How many records are to come. */
static Py_ssize_t
iterator_left(const SessionPageIterator *self)
{
    return self->page == NULL ? 0
         : self->step < 0     ? self->next + 1
                              : self->page->length - self->next;
}

static int
iterator_traverse(SessionPageIterator *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->page);
    return 0;
}

static void
iterator_dealloc(SessionPageIterator *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    iterator_drop_page(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* Making a record may run the collector (before 3.12), and so a finalizer that uses this very
   iterator. The page is held and the cache taken out meanwhile. */
static PyObject *
iterator_next_locked(SessionPageIterator *self)
{
    SessionPage *page = self->page;
    string_cache *cache = self->cache;
    if (iterator_left(self) <= 0) {
        iterator_drop_page(self); /* the buffer goes as soon as nobody else needs it */
        return NULL;
    }
    Py_INCREF(page);
    self->cache = NULL;
    Py_ssize_t index = self->next;
    self->next += self->step;
    PyObject *record = page_record(page, index, cache);
    if (self->page != NULL && self->cache == NULL) {
        self->cache = cache;
    }
    else {
        string_cache_free(cache);
    }
    Py_DECREF(page);
    return record;
}

static PyObject *
iterator_next(SessionPageIterator *self)
{
    PyObject *record;
    Py_BEGIN_CRITICAL_SECTION(self);
    record = iterator_next_locked(self);
    Py_END_CRITICAL_SECTION();
    return record;
}

static PyObject *
iterator_length_hint(SessionPageIterator *self, PyObject *Py_UNUSED(ignored))
{
    Py_ssize_t left;
    Py_BEGIN_CRITICAL_SECTION(self);
    left = iterator_left(self);
    Py_END_CRITICAL_SECTION();
    return PyLong_FromSsize_t(left);
}

static PyMethodDef iterator_methods[] = {
    {"__length_hint__", (PyCFunction)iterator_length_hint, METH_NOARGS, NULL},
    UNPICKLABLE_METHOD,
    {NULL, NULL, 0, NULL},
};

static PyType_Slot iterator_slots[] = {
    {Py_tp_dealloc, iterator_dealloc}, {Py_tp_traverse, iterator_traverse},
    {Py_tp_iter, PyObject_SelfIter},   {Py_tp_iternext, iterator_next},
    {Py_tp_methods, iterator_methods}, {0, NULL},
};

PyType_Spec session_page_iterator_spec = {
    .name = "netsession._netsession.SessionPageIterator",
    .basicsize = sizeof(SessionPageIterator),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
           | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = iterator_slots,
};

/* --- type --------------------------------------------------------------------------------- */

static PyMethodDef page_methods[] = {
    {"filter", (PyCFunction)page_filter, METH_O, page_filter_doc},
    {"as_level", (PyCFunction)page_as_level, METH_O, page_as_level_doc},
    {"as_dicts", (PyCFunction)page_as_dicts, METH_NOARGS, page_as_dicts_doc},
    {"index", (PyCFunction)page_index, METH_VARARGS, page_index_doc},
    {"count", (PyCFunction)page_count, METH_O, page_count_doc},
    {"__reversed__", (PyCFunction)page_reversed, METH_NOARGS, page_reversed_doc},
    {"__sizeof__", (PyCFunction)page_sizeof, METH_NOARGS, page_sizeof_doc},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, page_class_getitem_doc},
    PICKLE_PAGE_METHODS,
    ARROW_PAGE_METHODS,
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef page_getset[] = {
    {"level", (getter)page_get_level, NULL, "The information level of the entries (int).", NULL},
    {"total_entries", (getter)page_get_total_entries, NULL,
     "TotalEntries as the server counts it (int): a hint, often wrong.", NULL},
    {"resume_handle", (getter)page_get_resume_handle, NULL,
     "The resume handle of the reply (int, opaque), or None if the server sent none.", NULL},
    {"more", (getter)page_get_more, NULL, "Whether the reply's status was ERROR_MORE_DATA (bool).",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(page_doc,
"One reply of NetSessionEnum: an immutable sequence of session records.\n\n"
"It owns the SESSION_INFO_x buffer; a record is built only when it is asked for. A slice is\n"
"again a SessionPage and copies no string. Source: NetSessionEnum, [MS-SRVS] 2.2.4.16 to 20.");

static PyType_Slot page_slots[] = {
    {Py_tp_doc, (void *)page_doc},
    {Py_tp_dealloc, page_dealloc},
    {Py_tp_traverse, page_traverse},
    {Py_tp_repr, page_repr},
    {Py_tp_iter, page_iterate},
    {Py_tp_methods, page_methods},
    {Py_tp_getset, page_getset},
    {Py_sq_length, page_length},
    {Py_sq_item, page_item},
    {Py_sq_contains, page_contains},
    {Py_mp_length, page_length},
    {Py_mp_subscript, page_subscript},
    {0, NULL},
};

PyType_Spec session_page_spec = {
    .name = "netsession._netsession.SessionPage",
    .basicsize = sizeof(SessionPage),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE
           | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_SEQUENCE,
    .slots = page_slots,
};
