"""The Django application that django-scim2 serves."""
