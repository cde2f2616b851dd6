# %% [markdown]
# # 14. Does an adapter from here work in a real model, and one from there work here?
#
# **You will be able to** read a Hugging Face folder byte by byte, say which weights are transposed and why, write an adapter that PEFT loads,
# load one that PEFT wrote, and tell from one line of an error why an adapter would have changed nothing.
#
# **Run time:** about 20 s on two cores. **You need:** notebook 7, an adapter and its dials.
