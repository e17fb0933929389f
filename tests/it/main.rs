mod races;
mod serving;
mod store_conformance;
mod support;
mod token;
