#define PY_SSIZE_T_CLEAN
#include "page_pickle.h"

#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "session_page.h"

/* What an iterable yields, as a tuple of our own. PySequence_Tuple() fills a tuple that everybody
   can find already (gc.get_objects()), while items are made; a list is whole at any time. */
static PyObject *
whole_tuple(PyObject *iterable)
{
    if (PyTuple_CheckExact(iterable)) {
        return Py_NewRef(iterable);
    }
    PyObject *list = PySequence_List(iterable);
    PyObject *tuple = list == NULL ? NULL : PyList_AsTuple(list);
    Py_XDECREF(list);
    return tuple;
}

/* --- to records --------------------------------------------------------------------------- */

const char page_reduce_doc[] = "__reduce__($self, /)\n--\n\n"
                               "A page is pickled as its level, its records and what else its "
                               "attributes tell, under every\n"
                               "protocol; loading gives a SessionPage again.";

PyObject *
page_reduce(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    const SessionPage *page = (const SessionPage *)self;
    PyObject *handle = NULL, *records = NULL, *module = NULL, *rebuild = NULL;
    PyObject *arguments = NULL, *result = NULL;
    handle = page->has_resume_handle ? PyLong_FromUnsignedLong(page->resume_handle)
                                     : Py_NewRef(Py_None);
    records = handle == NULL ? NULL : whole_tuple(self);
    module = records == NULL ? NULL : PyType_GetModule(Py_TYPE(self)); /* borrowed */
    rebuild = module == NULL ? NULL : PyObject_GetAttrString(module, "page_from_records");
    if (rebuild != NULL) {
        arguments = Py_BuildValue("(kOkOi)", (unsigned long)page->level->number, records,
                                  (unsigned long)page->total_entries, handle,
                                  page->status == NET_MORE_DATA);
    }
    result = arguments == NULL ? NULL : PyTuple_Pack(2, rebuild, arguments);
    Py_XDECREF(handle);
    Py_XDECREF(records);
    Py_XDECREF(rebuild);
    Py_XDECREF(arguments);
    return result;
}

const char page_copy_doc[] = "__copy__($self, /)\n--\n\nThe page itself: nothing in it changes.";
const char page_deepcopy_doc[]
    = "__deepcopy__($self, memo, /)\n--\n\nThe page itself: nothing in it changes.";

PyObject *
page_copy(PyObject *page, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(page);
}

/* --- from records ------------------------------------------------------------------------- */

/* A page in the making. Whatever a pickle holds is checked here. */
typedef struct {
    const session_level *level;
    PyObject *records;      /* owned: a tuple of tuples */
    unsigned char *entries; /* malloc(): the structures */
    PyObject *strings;      /* owned: bytes that hold what the structures point to */
    size_t units;           /* of all strings, terminators included */
} page_maker;

/* What one bytes object may hold, well counted. */
#define MOST_UNITS ((size_t)PY_SSIZE_T_MAX / sizeof(utf16_unit) / 2)

/* How many UTF-16 units a str takes with its terminator; 0 with an exception set. */
static size_t
units_of(PyObject *text, const char *field)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    size_t units = (size_t)length + 1;
    if (PyUnicode_FindChar(text, 0, 0, length, 1) != -1) {
        PyErr_Format(PyExc_ValueError, "%s must not contain a NUL character", field);
        return 0;
    }
    if (PyUnicode_KIND(text) == PyUnicode_4BYTE_KIND) {
        const Py_UCS4 *characters = PyUnicode_4BYTE_DATA(text);
        for (Py_ssize_t i = 0; i < length; i++) {
            units += characters[i] > 0xFFFF;
        }
    }
    return units;
}

/* Writes a str and its terminator; returns where they end. Lone surrogates stay as they are. */
static utf16_unit *
put_units(PyObject *text, utf16_unit *out)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    for (Py_ssize_t i = 0; i < length; i++) {
        Py_UCS4 character = PyUnicode_READ_CHAR(text, i);
        if (character > 0xFFFF) {
            character -= 0x10000;
            *out++ = (utf16_unit)(0xD800u + (character >> 10));
            character = 0xDC00u + (character & 0x3FFu);
        }
        *out++ = (utf16_unit)character;
    }
    *out++ = 0;
    return out;
}

/* Checks that a record may become a structure, and counts the units of its strings. */
static int
check_record(page_maker *maker, PyObject *record)
{
    const session_level *level = maker->level;
    if (!PyTuple_Check(record) || PyTuple_GET_SIZE(record) != level->field_count) {
        PyErr_Format(PyExc_TypeError, "records of level %lu must be tuples of %d fields, not %R",
                     (unsigned long)level->number, level->field_count, record);
        return -1;
    }
    for (int i = 0; i < level->field_count; i++) {
        const session_field *field = &level->fields[i];
        PyObject *value = PyTuple_GET_ITEM(record, i);
        if (field->kind == FIELD_DWORD || value == Py_None) {
            continue;
        }
        if (!PyUnicode_Check(value)) {
            PyErr_Format(PyExc_TypeError, "%s must be a str or None, not %.200s", field->name,
                         Py_TYPE(value)->tp_name);
            return -1;
        }
        size_t units = units_of(value, field->name);
        if (units == 0) {
            return -1;
        }
        /* Records may share strings, so that all together are more than memory: on 32 bits soon. */
        if (units > MOST_UNITS - maker->units) {
            (void)PyErr_NoMemory();
            return -1;
        }
        maker->units += units;
    }
    return 0;
}

/* A checked record as a structure, its strings at `*out`, which is moved behind them. */
static int
put_record(const page_maker *maker, PyObject *record, unsigned char *entry, utf16_unit **out)
{
    for (int i = 0; i < maker->level->field_count; i++) {
        const session_field *field = &maker->level->fields[i];
        PyObject *value = PyTuple_GET_ITEM(record, i);
        if (field->kind == FIELD_DWORD) {
            uint32_t dword = 0;
            if (argument_dword(value, field->name, &dword) < 0) {
                return -1;
            }
            memcpy(entry + field->offset, &dword, sizeof(dword));
            continue;
        }
        const utf16_unit *string = NULL;
        if (value != Py_None) {
            string = *out;
            *out = put_units(value, *out);
        }
        memcpy(entry + field->offset, &string, sizeof(string));
    }
    return 0;
}

/* -1 with an exception set. */
static int
make_entries(page_maker *maker)
{
    Py_ssize_t count = PyTuple_GET_SIZE(maker->records);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (check_record(maker, PyTuple_GET_ITEM(maker->records, i)) < 0) {
            return -1;
        }
    }
    maker->strings
        = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(maker->units * sizeof(utf16_unit)));
    if (maker->strings == NULL) {
        return -1;
    }
    maker->entries = calloc(count > 0 ? (size_t)count : 1, maker->level->size);
    if (maker->entries == NULL) {
        (void)PyErr_NoMemory();
        return -1;
    }
    utf16_unit *out = (utf16_unit *)(void *)PyBytes_AS_STRING(maker->strings);
    for (Py_ssize_t i = 0; i < count; i++) {
        unsigned char *entry = maker->entries + (size_t)i * maker->level->size;
        if (put_record(maker, PyTuple_GET_ITEM(maker->records, i), entry, &out) < 0) {
            return -1;
        }
    }
    return 0;
}

const char page_from_records_doc[]
    = "page_from_records($module, level, records, total_entries, resume_handle, more, /)\n--\n\n"
      "A SessionPage of records (a sequence of tuples with the fields of the level), as pickles\n"
      "of pages have it. Raises TypeError or ValueError for what no server can send.";

PyObject *
page_from_records(PyObject *module, PyObject *args)
{
    PyObject *level, *records, *total_entries, *resume_handle, *page = NULL;
    int more = 0;
    page_maker maker = {.level = NULL};
    session_enum_reply reply = {.status = NET_SUCCESS};
    if (!PyArg_ParseTuple(args, "OOOOp:page_from_records", &level, &records, &total_entries,
                          &resume_handle, &more)
        || argument_level(level, &reply.level) < 0
        || argument_dword(total_entries, "total_entries", &reply.total_entries) < 0) {
        return NULL;
    }
    reply.has_resume_handle = resume_handle != Py_None;
    if (reply.has_resume_handle
        && argument_dword(resume_handle, "resume_handle", &reply.resume_handle) < 0) {
        return NULL;
    }
    maker.level = reply.level;
    maker.records = whole_tuple(records); /* our own: what __index__ runs cannot change it */
    if (maker.records != NULL && make_entries(&maker) == 0) {
        reply.status = more ? NET_MORE_DATA : NET_SUCCESS;
        reply.entries = maker.entries;
        reply.count = (size_t)PyTuple_GET_SIZE(maker.records);
        page = session_page_new(PyModule_GetState(module), &reply, NULL, maker.strings);
        maker.entries = NULL; /* the page's now */
    }
    free(maker.entries);
    Py_XDECREF(maker.records);
    Py_XDECREF(maker.strings);
    return page;
}
