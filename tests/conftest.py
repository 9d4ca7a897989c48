"""What tests of several folders share lies beside this file: pytest puts a conftest's folder on the import path."""
