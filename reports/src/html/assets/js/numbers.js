// Bit patterns as numbers: their value, the shortest decimal that reads back, the hex float, and how many representable
// numbers lie between two of them. This file needs no other.

/** How many bits each floating-point type has, and how many of these are the fraction. */
const NUMBER_LAYOUTS = {
  f16: { bits: 16, fraction: 10 },
  bf16: { bits: 16, fraction: 7 },
  f32: { bits: 32, fraction: 23 },
  f64: { bits: 64, fraction: 52 },
};

const numberView = new DataView(new ArrayBuffer(8));

/** A bit pattern as an integer, from hexadecimal with or without 0x. */
function numberPattern(text) {
  return BigInt(text.startsWith("0x") ? text : "0x" + text);
}

/** The number that a bit pattern stands for, exactly; of an i64 to 53 bits. */
function numberValue(dtype, bits) {
  switch (dtype) {
    case "i64":
      return Number(BigInt.asIntN(64, bits));
    case "f64":
      numberView.setBigUint64(0, bits);
      return numberView.getFloat64(0);
    case "f32":
      numberView.setUint32(0, Number(bits));
      return numberView.getFloat32(0);
    case "bf16":
      numberView.setUint32(0, Number(bits) * 0x10000);
      return numberView.getFloat32(0);
    default: {
      const pattern = Number(bits);
      const sign = pattern & 0x8000 ? -1 : 1;
      const exponent = (pattern >> 10) & 0x1f;
      const fraction = pattern & 0x3ff;
      if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
      return sign * (exponent ? (0x400 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
    }
  }
}

/**
 * The decimal with the fewest digits that reads back as the same f32, as digits and a power of ten: "12345", -3. The
 * numbers of the half types are f32s as well.
 */
function numberShortestF32(value) {
  for (let precision = 1; precision <= 9; precision += 1) {
    const [mantissa, exponent] = value.toExponential(precision - 1).split("e");
    const digits = Number(mantissa.replace(".", ""));
    const power = Number(exponent) - (precision - 1);
    // Below a power of two the numbers are closer together than above: the nearest decimal may read back as another
    // number where its neighbour does not.
    const good = [digits, digits - 1, digits + 1]
      .map((whole) => ({ whole, error: Math.abs(Number(`${whole}e${power}`) - value) }))
      .filter(({ whole }) => whole > 0 && Math.fround(Number(`${whole}e${power}`)) === value)
      .sort((one, other) => one.error - other.error);
    if (good.length) return numberTrimmed(String(good[0].whole), power);
  }
  throw new RangeError(`${value} is no f32`);
}

/** Digits without zeros at their end. */
function numberTrimmed(digits, power) {
  const trimmed = digits.replace(/0+$/, "");
  return [trimmed, power + digits.length - trimmed.length];
}

function numberShortestF64(value) {
  // Of two that are as short and as near, this one ends in an even digit and that one is the larger: Rust's choice.
  const short = value.toExponential();
  const larger = value.toExponential(short.split("e")[0].replace(".", "").length - 1);
  const [mantissa, exponent] = (Number(larger) === value ? larger : short).split("e");
  const digits = mantissa.replace(".", "");
  return numberTrimmed(digits, Number(exponent) - (digits.length - 1));
}

/** The shortest decimal that reads back as the same number of its type: 0.1, 1.0, -0.0, 1e-7, inf, NaN. */
function numberDecimal(dtype, bits) {
  if (dtype === "i64") return BigInt.asIntN(64, bits).toString();
  const value = numberValue(dtype, bits);
  if (Number.isNaN(value)) return "NaN";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const size = Math.abs(value);
  if (size === Infinity) return sign + "inf";
  if (size === 0) return sign + "0.0";
  const wide = dtype === "f64";
  const [digits, power] = wide ? numberShortestF64(size) : numberShortestF32(size);
  if (size < (wide ? 1e-4 : Math.fround(1e-4)) || size >= (wide ? 1e16 : Math.fround(1e16))) {
    const rest = digits.length > 1 ? "." + digits.slice(1) : "";
    return `${sign}${digits[0]}${rest}e${power + digits.length - 1}`;
  }
  if (power >= 0) return `${sign}${digits}${"0".repeat(power)}.0`;
  const whole = digits.length + power;
  if (whole <= 0) return `${sign}0.${"0".repeat(-whole)}${digits}`;
  return `${sign}${digits.slice(0, whole)}.${digits.slice(whole)}`;
}

/**
 * The number as a hex float, as C prints a double with %a: 0x1.8p+1, -0x0p+0, 0x0.0000000000001p-1022, inf. A NaN has its
 * fraction's bits beside it, nan(0x400000); an i64 is the integer in hexadecimal, -0x5.
 */
function numberHexFloat(dtype, bits) {
  if (dtype === "i64") {
    const whole = BigInt.asIntN(64, bits);
    return whole < 0n ? `-0x${(-whole).toString(16)}` : `0x${whole.toString(16)}`;
  }
  const layout = NUMBER_LAYOUTS[dtype];
  const sign = (bits >> BigInt(layout.bits - 1)) & 1n ? "-" : "";
  const value = numberValue(dtype, bits);
  if (Number.isNaN(value)) {
    return `${sign}nan(0x${BigInt.asUintN(layout.fraction, bits).toString(16)})`;
  }
  if (value === 0) return sign + "0x0p+0";
  if (!Number.isFinite(value)) return sign + "inf";
  numberView.setFloat64(0, value);
  const pattern = numberView.getBigUint64(0);
  const exponent = Number((pattern >> 52n) & 0x7ffn);
  const fraction = BigInt.asUintN(52, pattern).toString(16).padStart(13, "0").replace(/0+$/, "");
  const point = fraction ? "." + fraction : "";
  if (exponent === 0) return `${sign}0x0${point}p-1022`;
  const power = exponent - 1023;
  return `${sign}0x1${point}p${power < 0 ? "-" : "+"}${Math.abs(power)}`;
}

/** A bit pattern as an integer that grows with the number it stands for; both zeros are 0. */
function numberOrdinal(dtype, bits) {
  if (dtype === "i64") return BigInt.asIntN(64, bits);
  const width = NUMBER_LAYOUTS[dtype].bits;
  const size = BigInt.asUintN(width - 1, bits);
  return bits >> BigInt(width - 1) ? -size : size;
}

/** How many representable numbers lie between two bit patterns, as a BigInt; null where one is a NaN. */
function numberUlps(dtype, one, other) {
  if (Number.isNaN(numberValue(dtype, one)) || Number.isNaN(numberValue(dtype, other))) return null;
  const apart = numberOrdinal(dtype, one) - numberOrdinal(dtype, other);
  return apart < 0n ? -apart : apart;
}

/** All that is shown of one number. `text` is its bit pattern in hexadecimal. */
function numberOf(dtype, text) {
  const pattern = numberPattern(text);
  const width = (dtype === "i64" ? 64 : NUMBER_LAYOUTS[dtype].bits) / 4;
  return {
    pattern,
    value: numberValue(dtype, pattern),
    decimal: numberDecimal(dtype, pattern),
    hex: numberHexFloat(dtype, pattern),
    bits: "0x" + pattern.toString(16).padStart(width, "0"),
  };
}
