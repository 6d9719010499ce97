#define PY_SSIZE_T_CLEAN
#include "arrow_fleet.h"

#include "arguments.h"

/* The three of them, owned by the tuple; -1 with an exception set. */
static int
unpack(PyObject *item, PyObject **server, PyObject **collected_at, PyObject **page)
{
    if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 3) {
        PyErr_Format(PyExc_TypeError,
                     "parts must be tuples (server, collected_at, page), not %.200s%s",
                     Py_TYPE(item)->tp_name, PyTuple_Check(item) ? " of another length" : "");
        return -1;
    }
    *server = PyTuple_GET_ITEM(item, 0);
    *collected_at = PyTuple_GET_ITEM(item, 1);
    *page = PyTuple_GET_ITEM(item, 2);
    return 0;
}

int
fleet_part_read(PyObject *item, PyTypeObject *page_type, fleet_part *part)
{
    PyObject *server, *collected_at, *page, *units = NULL;
    int64_t microseconds = 0;
    if (unpack(item, &server, &collected_at, &page) < 0) {
        return -1;
    }
    if (!Py_IS_TYPE(page, page_type)) {
        PyErr_Format(PyExc_TypeError, "page must be a SessionPage, not %.200s",
                     Py_TYPE(page)->tp_name);
        return -1;
    }
    if (!PyUnicode_Check(server)) {
        PyErr_Format(PyExc_TypeError, "server must be a str, not %.200s",
                     Py_TYPE(server)->tp_name);
        return -1;
    }
    if (argument_int64(collected_at, "collected_at", &microseconds) < 0
        || argument_name(server, "server", &units) < 0) {
        return -1;
    }
    *part = (fleet_part){.page = Py_NewRef(page), .server = units, .collected_at = microseconds};
    return 0;
}

void
fleet_part_clear(fleet_part *part)
{
    Py_CLEAR(part->page);
    Py_CLEAR(part->server);
}
