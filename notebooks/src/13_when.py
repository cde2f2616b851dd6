# %% [markdown]
# # 13. When is LoRA the right tool, and when is it not?
#
# **You will be able to** compare a task with an adapter's capacity before you train, tell a new voice from a new ability, weigh learning against
# forgetting, and check a claim about LoRA against a table that you can make again.
#
# **Run time:** about 30 s on two cores. **You need:** notebook 7, an adapter and its dials; notebook 8, the spectrum of an update.
