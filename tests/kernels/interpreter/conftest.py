"""These tests run the kernels in Triton's interpreter, which must be on before triton is imported.

They therefore have a process of their own: tests/kernels/test_kernels_interpreter.py starts it, and a plain run
passes over this folder.
"""

from plumbline_kernels.dispatch import interpreter_is_on

collect_ignore_glob = [] if interpreter_is_on() else ["test_*.py"]
