#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "session_info.h"

static PyObject *
field_value(const session_field *field, const unsigned char *entry, string_cache *cache)
{
    if (field->kind == FIELD_DWORD) {
        uint32_t value = session_info_dword(entry, field);
        /* Numbers of one digit, as nearly all are, have a shorter way in CPython. */
        return value < (1u << 30) ? PyLong_FromLong((long)value) : PyLong_FromUnsignedLong(value);
    }
    const utf16_unit *units = session_info_string(entry, field);
    return units == NULL ? Py_NewRef(Py_None) : string_cache_get(cache, field->id, units);
}

PyObject *
session_info_record(const session_level *level, PyTypeObject *type, const unsigned char *entry,
                    string_cache *cache)
{
    /* Not tp_alloc, which would hand the record to the collector: only str, int and None go in, so
       no record is ever part of a cycle, and a hundred thousand need not be visited. */
    PyTupleObject *record = PyObject_GC_NewVar(PyTupleObject, type, level->field_count);
    if (record == NULL) {
        return NULL;
    }
#if PY_VERSION_HEX >= 0x030E0000
    record->ob_hash = -1; /* not known yet; tuples keep it since 3.14 */
#endif
    for (int i = 0; i < level->field_count; i++) {
        PyObject *value = field_value(&level->fields[i], entry, cache);
        PyTuple_SET_ITEM(record, i, value); /* the record owns the value from here on */
        if (value == NULL) {
            while (++i < level->field_count) {
                PyTuple_SET_ITEM(record, i, NULL);
            }
            Py_DECREF(record);
            return NULL;
        }
    }
    return (PyObject *)record;
}

PyObject *
session_info_dict(const session_level *level, PyObject *names, const unsigned char *entry,
                  string_cache *cache)
{
    PyObject *dict = PyDict_New();
    if (dict == NULL) {
        return NULL;
    }
    for (int i = 0; i < level->field_count; i++) {
        PyObject *value = field_value(&level->fields[i], entry, cache);
        int failed = value == NULL || PyDict_SetItem(dict, PyTuple_GET_ITEM(names, i), value) < 0;
        Py_XDECREF(value);
        if (failed) {
            Py_DECREF(dict);
            return NULL;
        }
    }
    return dict;
}
