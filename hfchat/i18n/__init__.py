"""Every sentence that people read, in English and Spanish."""
