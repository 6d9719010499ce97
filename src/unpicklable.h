/* What cannot be pickled or copied says so, under every protocol: without a __reduce__ of its
   own, protocols 0 and 1 would write a pickle of a type that nothing can load. */

#ifndef NETSESSION_UNPICKLABLE_H
#define NETSESSION_UNPICKLABLE_H

#include <Python.h>

static PyObject *
refuse_pickling(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    PyErr_Format(PyExc_TypeError, "cannot pickle or copy '%.100s' object", Py_TYPE(self)->tp_name);
    return NULL;
}

/* An entry of a PyMethodDef: copy and every protocol of pickle ask __reduce_ex__(), which calls
   this where a type has it. */
#define UNPICKLABLE_METHOD \
    { \
        "__reduce__", refuse_pickling, METH_NOARGS, \
            "__reduce__($self, /)\n--\n\nTypeError: it can be neither pickled nor copied." \
    }

#endif
