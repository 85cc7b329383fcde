//! Stimuli and labelled image sets: identities, pixel ranges, CIFAR, augmentation, procedural images
