"""What families are built from: networks, classifiers, synthetic functions.

common.py has dense layers, classifiers and what all families of images share;
convolutions.py, attention.py and sequences.py (recurrent) have networks;
flows.py has densities by bijectors, synthetic.py functions of a vector.
"""
