/* A service with a Python inside, as a frozen program or uWSGI is: whatever it is called with, it
   leaves a file in its directory for each start, and runs its script. */
#include <Python.h>

int main(void) {
    Py_Initialize();
    return PyRun_SimpleString(
        "import os, sys, time\n"
        "open(f'started-{os.getpid()}', 'w').close()\n"
        "def waits_inside():\n"
        "    time.sleep(1000)\n"
        "print('ready {}', flush=True)\n"
        "waits_inside()\n");
}
