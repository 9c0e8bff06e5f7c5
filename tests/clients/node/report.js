// What a program of tests/clients prints: one line for each feature and its result, parted by a tab. As python/report.py.

"use strict";

const PLACES = {
  "us-east": [40.7128, -74.006, "dr5regw3p"],
  "us-west": [34.0522, -118.2437, "9q5ctr186"],
  "eu-central": [52.52, 13.405, "u33dc0cpp"],
  "ap-south": [19.076, 72.8777, "te7ud2evv"],
};

const features = [];

function feature(name, work) {
  features.push([name, work]);
}

function told(thrown) {
  const error = thrown.cause?.code ? thrown.cause : thrown;
  return /^[0-9A-Z]{5}$/.test(error.code ?? "") ? `error ${error.code} ${error.message}` : `broken: ${error}`;
}

async function errorOf(work) {
  try {
    return await work();
  } catch (error) {
    return told(error);
  }
}

async function run() {
  for (const [name, work] of features) {
    let result;
    try {
      result = JSON.stringify(await work(), (_, value) => (typeof value === "bigint" ? `${value}n` : value));
    } catch (error) {
      result = told(error);
      if (process.env.TRACE) console.error(error);
    }
    console.log(`${name}\t${result}`.replaceAll("\n", "\\n"));
  }
}

const uuid = (number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

module.exports = { PLACES, REGIONS: Object.keys(PLACES), errorOf, feature, run, told, uuid };
