"""Kills runs at chosen moments, resumes them until they are done, and says whether the world noticed.

`cases` are workflows with what they do to the world; `places` a workspace with one of them, and its model; `kills` says
when who dies; `runner` is the product in a process that dies at an event of its journal; `keeper` starts one process,
kills it at an instant, and sees to it that nothing of it is left; `trial` goes from life to life until there is an
answer; `verdict` compares with the run that nobody disturbed. Linux only: processes are found in /proc.
"""
