"""The exercises, a file for each notebook of exercises: name of the student's function -> Exercise."""

from minilora.classroom.themes import adapters, backward, counting, family, layers, pair, structures, training

THEMES = {
    "counting": counting.EXERCISES,
    "pair": pair.EXERCISES,
    "backward": backward.EXERCISES,
    "layers": layers.EXERCISES,
    "training": training.EXERCISES,
    "family": family.EXERCISES,
    "structures": structures.EXERCISES,
    "adapters": adapters.EXERCISES,
}
EXERCISES = {name: exercise for exercises in THEMES.values() for name, exercise in exercises.items()}
