"""HeyGen as we meet it: the calls we make, the words it answers, the callbacks it sends.

Nothing here knows of jobs, tables or tenants; it imports nothing of ours from outside this package.
"""
