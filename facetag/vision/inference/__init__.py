"""Compiled networks: conversion, precision, and the engines that run them."""
