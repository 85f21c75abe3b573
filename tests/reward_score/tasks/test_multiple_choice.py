# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Which letter a reader of good will takes from an answer."""

import unicodedata

import pytest

from reward_score.tasks.multiple_choice import lenient

OPTIONS = ("MRI", "Ultrasound", "CT", "X-ray")

#: Answers by the letter that a reader of good will takes from them.
LENIENT = {
    "C": [
        *("C", "c", "C) CT", "C. CT", "(c)", "<answer>C)CT</answer>", "<answer>\nC\n</answer>"),
        *("<think>not A) but</think> C", "The answer is C.", "The answer is (c)", "The image shows a CT scan"),
        *("The answer is C because the image is bright", "The correct answer is C as seen", "Answer: A CT scan"),
        *("<answer>**C**</answer>", "**C**", "**C)** CT", "Answer:\nC", "**Answer:** C"),
        *("C\nBecause it is bright", "A) MRI would be darker. The answer is C) CT."),
        *("<answer></answer><answer>C</answer>", "<answer>C</answer><answer>c) CT</answer>", "\\boxed{C}"),
        *("<answer>\\boxed{C}</answer>", "The answer is $\\boxed{\\text{C}}$.", "\\boxed{CT}", "\\boxed{C) CT}"),
        *("\\(C\\)", "<|begin_of_box|>C<|end_of_box|>", "[C]", "{C}", '"C"', "“C”", "__C__", "Ｃ）CT"),
        *("C</answer>", "</answer>C", "<Answer>C</Answer>", "<THINK>A)</THINK>< ANSWER >C</ ANSWER >"),
        *("<think>A)</think>C</answer>", "C - CT", "### C", "C!", '{"answer": "C"}', "Answer - C"),
        *("The answer should be option C.", "I would go with option C.", "C is the correct answer."),
        *("A is incorrect; C is correct", "I think it's C", "The correct letter is C", "The image is no MRI but a CT"),
        *("Answer: C\n\nExplanation: A) shows water, B) moves.", "It is a T2 CT"),
    ],
    None: [
        *("<think>A. It never ends", "The answer is a scan of the chest", "Vitamin C is best", "I choose a scan"),
        *('type "A" influenza', "Crohn's 'C' disease's", "<answer>C</answer><answer>A</answer>"),
        *("<answer>A</answer><answer>C</answer>", "<think>x</think><answer>C</answer> or <answer>none</answer>"),
        *("A)MRI, B)Ultrasound, C)CT, D)X-ray", "A. MRI\nB. Ultrasound\nC. CT\nD. X-ray"),
        *("Answer: A)MRI, B)Ultrasound, C)CT, D)X-ray", "A) or C)", "a) or c)", "A or C", "A/C"),
        *("\\boxed{A} \\boxed{C}", "[A] or [C]", '"A", "C"', "I choose A or C", "Both A and C"),
        *("It could be A) or C)", "(A), (C)", "The answer is A or C", "The answer is A. The answer is C."),
        *(
            "An MRI or a CT",
            "A scan of the head",
            "I cannot say",
            "",
            "It is not CT",
            "It is not a CT",
            "Answer: Z ray",
        ),
    ],
    "A": ["The answer is a because it is bright"],
    "D": ["The answer is X-ray"],
}


@pytest.mark.parametrize(("letter", "text"), [(letter, text) for letter in LENIENT for text in LENIENT[letter]])
def test_lenient_extraction(text, letter):
    assert lenient(text, OPTIONS) == letter


@pytest.mark.parametrize(
    ("text", "options", "letter"),
    [
        ("It is CT angiography", ("CT", "CT angiography"), "B"),
        ("It is Computed Tomography (CT).", ("MRI", "Computed Tomography (CT)"), "B"),
        ("About 50% of it", ("20%", "50%"), "B"),
        (">50%", ("50%", ">50%"), "B"),
        ("It is >50%", ("50%", "<20%"), None),
        ("It is 2.5 mm", ("5 mm", "2.5 mm"), "B"),
        ("B. C. difficile", ("E. coli", "C. difficile"), "B"),
        ("B) vitamins A and D", ("vitamin K", "Vitamins A and D"), "B"),
        ("vitamins A and D", ("vitamin K", "Vitamins A and D"), "B"),
        (unicodedata.normalize("NFD", "Ménétrier disease"), ("Crohn disease", "Ménétrier disease"), "B"),
        ("It is \\text{T}_{2} weighted", ("\\text{T}_{1} weighted", "\\text{T}_{2} weighted"), "B"),
        ("It is **HLA-B*27**", ("HLA-A*02", "HLA-B*27"), "B"),
    ],
)
def test_an_options_own_text_is_read_as_a_whole(text, options, letter):
    assert lenient(text, options) == letter
