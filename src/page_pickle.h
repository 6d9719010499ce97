/* How a SessionPage is pickled and copied: as its records. */

#ifndef NETSESSION_PAGE_PICKLE_H
#define NETSESSION_PAGE_PICKLE_H

#include <Python.h>

/* Methods of SessionPage. */
PyObject *page_reduce(PyObject *page, PyObject *ignored);
PyObject *page_copy(PyObject *page, PyObject *ignored);

extern const char page_reduce_doc[], page_copy_doc[], page_deepcopy_doc[];

#define PICKLE_PAGE_METHODS \
    {"__reduce__", page_reduce, METH_NOARGS, page_reduce_doc}, \
        {"__copy__", page_copy, METH_NOARGS, page_copy_doc}, \
    { \
        "__deepcopy__", page_copy, METH_O, page_deepcopy_doc \
    }

/* A function of the module, which pickles name. */
PyObject *page_from_records(PyObject *module, PyObject *args);

extern const char page_from_records_doc[];

#define PICKLE_MODULE_METHODS \
    { \
        "page_from_records", page_from_records, METH_VARARGS, page_from_records_doc \
    }

#endif
