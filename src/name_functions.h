/* The functions of netsession._netsession that compare names; used by netsession/_names.py. */

#ifndef NETSESSION_NAME_FUNCTIONS_H
#define NETSESSION_NAME_FUNCTIONS_H

#include <Python.h>

PyObject *name_upcase(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *name_tables(PyObject *module, PyObject *const *args, Py_ssize_t count);

extern const char name_upcase_doc[], name_tables_doc[];

#define NAME_MODULE_METHODS \
    {"upcase", (PyCFunction)(void (*)(void))name_upcase, METH_FASTCALL, name_upcase_doc}, \
    { \
        "same_tables", (PyCFunction)(void (*)(void))name_tables, METH_FASTCALL, name_tables_doc \
    }

#endif
