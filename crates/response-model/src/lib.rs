//! Predictive models of neural responses: core, readout, shifter, modulator, fit, predict, metrics
