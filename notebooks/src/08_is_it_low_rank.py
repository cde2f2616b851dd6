# %% [markdown]
# # 8. Is the update of fine-tuning really low-rank?
#
# **You will be able to** tell three questions apart that are usually asked as one, measure the rank of an update, compare the directions of two
# runs, and say what "amplification" and "intruders" mean, and how much of either is left once a control stands beside it.
#
# **Run time:** about 30 s on two cores. **You need:** notebook 3, the singular values; notebook 7, an adapter.
